use super::*;
use crate::auth::rotate_signing;

fn secrets() -> (tempfile::TempDir, Secrets) {
    let dir = tempfile::tempdir().unwrap();
    let secrets = Secrets::load_or_create(&dir.path().join("secrets.toml")).unwrap();
    (dir, secrets)
}

fn subject() -> Subject {
    Subject {
        user_id: "user-1".into(),
        session_id: "sess_1".into(),
    }
}

#[test]
fn a_token_counts_from_its_beginning_to_its_end() {
    let (_dir, secrets) = secrets();
    let token = sign(&secrets, subject(), 1000, 900).unwrap();
    let verified = |now| verify(&secrets, token.expose(), now);
    assert_eq!(verified(1000), Ok(subject()));
    assert_eq!(verified(1899), Ok(subject()));
    assert_eq!(verified(1900), Err(TokenError::Expired));
    assert_eq!(verified(1000 - LEEWAY), Ok(subject()));
    assert_eq!(verified(1000 - LEEWAY - 1), Err(TokenError::Invalid));
}

#[test]
fn a_retired_key_opens_what_it_signed_and_signs_nothing_new() {
    let (dir, secrets) = secrets();
    let old = sign(&secrets, subject(), 1000, 900).unwrap();
    rotate_signing(&dir.path().join("secrets.toml"), 1100, false).unwrap();
    // Whoever stole the key signs on with it.
    let stolen = sign(&secrets, subject(), 1200, 900).unwrap();
    let rotated = Secrets::load(&dir.path().join("secrets.toml")).unwrap();
    assert_eq!(verify(&rotated, old.expose(), 1200), Ok(subject()));
    let forged = verify(&rotated, stolen.expose(), 1200);
    assert_eq!(forged, Err(TokenError::Invalid));
    let fresh = sign(&rotated, subject(), 1200, 900).unwrap();
    assert_eq!(verify(&rotated, fresh.expose(), 1200), Ok(subject()));
    rotate_signing(&dir.path().join("secrets.toml"), 1200, true).unwrap();
    let rotated = Secrets::load(&dir.path().join("secrets.toml")).unwrap();
    for token in [old, fresh] {
        let gone = verify(&rotated, token.expose(), 1200);
        assert_eq!(gone, Err(TokenError::Invalid));
    }
}

#[test]
fn nobody_signs_on_with_a_retired_key_by_writing_an_earlier_date() {
    let (dir, secrets) = secrets();
    // Long-lived, and from before the key was retired: for whoever stole it.
    let forged = sign(&secrets, subject(), 1000, 10 * LONGEST_LIFE).unwrap();
    let longest = sign(&secrets, subject(), 1000, LONGEST_LIFE).unwrap();
    let invalid = Err(TokenError::Invalid);
    assert_eq!(verify(&secrets, forged.expose(), 1100), invalid);
    assert_eq!(verify(&secrets, longest.expose(), 1100), Ok(subject()));
    rotate_signing(&dir.path().join("secrets.toml"), 1000, false).unwrap();
    let rotated = Secrets::load(&dir.path().join("secrets.toml")).unwrap();
    let late = 1000 + LONGEST_LIFE + 1;
    assert_eq!(verify(&rotated, longest.expose(), late), invalid);
}
