//! What people, projects and keys may be called, over HTTP and on the command line alike.

/// In characters.
pub const LONGEST_NAME: usize = 256;
/// Of an e-mail address, in bytes (RFC 5321, section 4.5.3.1.3, without the angle brackets).
const LONGEST_EMAIL: usize = 254;

/// A name without the blanks around it.
///
/// # Errors
/// What it ought to be instead.
pub fn name(given: &str) -> Result<String, String> {
    let given = given.trim();
    let length = given.chars().count();
    if length == 0 || length > LONGEST_NAME || given.chars().any(char::is_control) {
        return Err(format!(
            "expected 1 to {LONGEST_NAME} characters, none of them a control character"
        ));
    }
    Ok(given.to_owned())
}

/// An e-mail address, roughly: only its owner knows whether it is one.
///
/// # Errors
/// That it is none.
pub fn email(given: &str) -> Result<String, String> {
    let given = given.trim();
    let parts = given.split_once('@');
    let fine = given.len() <= LONGEST_EMAIL
        && !given.chars().any(|c| c.is_control() || c.is_whitespace())
        && parts.is_some_and(|(user, host)| {
            !user.is_empty() && !host.is_empty() && !host.contains('@')
        });
    if !fine {
        return Err("not an e-mail address".to_owned());
    }
    Ok(given.to_owned())
}
