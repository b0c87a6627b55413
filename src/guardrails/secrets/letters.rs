//! Words in letters: what people write has them, what chance makes has not.

/// Whether it is made of words: most of its letters are in runs of one case that can be spoken.
pub(super) fn is_wordy(text: &str) -> bool {
    share_of_words(text) >= 0.7
}

/// How much of its letters is in such runs; none of no letters.
pub(super) fn share_of_words(text: &str) -> f32 {
    let bytes = text.as_bytes();
    let mut in_words = 0;
    let mut start = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        // A new word, also after an abbreviation.
        let after = bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        let begins = byte.is_ascii_uppercase()
            && before.is_some_and(|b| b.is_ascii_lowercase() || (after && b.is_ascii_uppercase()));
        if !byte.is_ascii_alphabetic() || begins {
            in_words += spoken(bytes.get(start..at).unwrap_or_default());
            start = if begins { at } else { at + 1 };
        }
    }
    in_words += spoken(bytes.get(start..).unwrap_or_default());
    let letters = bytes
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .count();
    in_words as f32 / letters.max(1) as f32
}

/// Its length when it is like a word: four letters or more of one case or with a capital, never
/// four without a vowel, or five in a long one.
fn spoken(run: &[u8]) -> usize {
    let is_vowel = |byte: &u8| b"aeiouy".contains(&byte.to_ascii_lowercase());
    let vowels = run.iter().filter(|byte| is_vowel(byte)).count();
    let longest = run
        .split(is_vowel)
        .map(<[u8]>::len)
        .max()
        .unwrap_or_default();
    let is_one_case =
        run.iter().skip(1).all(u8::is_ascii_lowercase) || run.iter().all(u8::is_ascii_uppercase);
    // As in synchronize, which is longer than most that chance makes.
    let most = if run.len() >= 8 { 5 } else { 4 };
    match run.len() >= 4 && is_one_case && vowels * 5 >= run.len() && longest < most {
        true => run.len(),
        false => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_from_random_letters() {
        for text in [
            "next_page_token",
            "gpt-4-turbo-preview",
            "camelCaseName",
            "Password",
        ] {
            assert!(is_wordy(text), "{text}");
        }
        for text in ["9f8Kq2LmZx7Vb3Nw5Rt1", "d41d8cd98f00b204e9800998ecf8427e"] {
            assert!(!is_wordy(text), "{text}");
        }
    }
}
