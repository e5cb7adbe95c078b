//! Configuration: the empty block means the defaults, unknown keys are refused.

use super::Subject;

/// The default configuration decodes, or is refused with the expected message; an unknown key is refused by name.
///
/// # Errors
/// What is wrong.
pub fn config_shape(subject: &Subject) -> Result<(), String> {
    match (subject.decode("{}"), &subject.invalid_default) {
        (Ok(_), None) => {}
        (Ok(_), Some(message)) => return Err(format!("the default configuration is taken, not refused: {message}")),
        (Err(errors), Some(message)) if errors.to_string().contains(message) => {}
        (Err(errors), _) => return Err(format!("the default configuration is refused: {errors}")),
    }
    match subject.decode("{no_such_key_at_all: 1}") {
        Ok(_) => Err("an unknown key is taken".to_owned()),
        Err(errors) if errors.to_string().contains("has invalid keys: no_such_key_at_all") => Ok(()),
        Err(errors) => Err(format!("an unknown key is refused without naming it: {errors}")),
    }
}
