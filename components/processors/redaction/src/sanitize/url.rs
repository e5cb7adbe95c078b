//! Paths of URLs with `*` in place of segments that vary.
//!
//! A segment stays if it consists of letters, `-`, `_`, `.` and spaces (its second byte may be anything, as in `v1`), and
//! its words can be pronounced. Query and fragment go, and so does what follows the tenth slash.

/// Slashes after which the rest is cut off.
const SEGMENTS_MAX: usize = 10;

/// Removes what varies.
pub(super) fn cluster(text: &[u8]) -> Vec<u8> {
    let end = text.iter().position(|byte| matches!(byte, b'?' | b'&' | b'#')).unwrap_or(text.len());
    let mut out = Vec::with_capacity(end);
    for (index, segment) in text.get(..end).unwrap_or_default().split(|byte| *byte == b'/').enumerate() {
        if index >= SEGMENTS_MAX {
            break;
        }
        if index > 0 {
            out.push(b'/');
        }
        if is_fixed(segment) {
            out.extend_from_slice(segment);
        } else {
            out.push(b'*');
        }
    }
    out
}

fn is_fixed(segment: &[u8]) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_' | b'.' | b' ');
    segment.iter().enumerate().all(|(index, byte)| index == 1 || plain(*byte))
        && segment.split(|byte| !byte.is_ascii_alphabetic()).all(is_word)
}

/// Consonants in a row that no word has.
const CONSONANTS_MAX: usize = 5;
/// Letters without a vowel that may be an abbreviation.
const ABBREVIATION_MAX: usize = 4;
/// Changes from small letters to capitals that may be camel case, and letters that each of more has to have.
const HUMPS_MAX: usize = 2;
const HUMP_LETTERS_MIN: usize = 4;

/// Whether letters could be a word: there are vowels, in a way that can be spoken, and no capitals all over.
fn is_word(letters: &[u8]) -> bool {
    let (mut run, mut longest) = (0, 0);
    for letter in letters {
        let vowel = matches!(letter.to_ascii_lowercase(), b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
        run = if vowel { 0 } else { run + 1 };
        longest = longest.max(run);
    }
    let is_hump = |pair: &&[u8]| matches!(pair, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase());
    let humps = letters.windows(2).filter(is_hump).count();
    longest <= CONSONANTS_MAX
        && (letters.len() <= ABBREVIATION_MAX || longest < letters.len())
        && (humps <= HUMPS_MAX || humps * HUMP_LETTERS_MIN <= letters.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_becomes_a_star() {
        for (text, expected) in [
            ("", ""),
            ("/users/fdklsd/j4elk/23993/job/2", "/users/*/j4elk/*/job/*"),
            ("123", "*"),
            ("/123", "/*"),
            ("123/", "*/"),
            ("123/ljgdflgjf", "*/*"),
            ("/u/2", "/u/*"),
            ("/v1/products/22j", "/v1/products/*"),
            ("/products//org/3", "/products//org/*"),
            ("/v1/k6-test-runs/1", "/v1/k6-test-runs/*"),
            ("/usuarios/fdklsd/trabajo/2", "/usuarios/*/trabajo/*"),
            ("/user_space/", "/user_space/"),
            ("/api.backup/hello.world.again", "/api.backup/hello.world.again"),
            ("OPTIONS /user-space/", "OPTIONS /user-space/"),
            ("/attach?session_id=ddfsdsf&track_id=sjdklnfldsn", "/attach"),
            ("/attach#section-1", "/attach"),
            ("GET /api/cart?sessionId=55f4e5ea-5d6d&currencyCode=USD", "GET /api/cart"),
            ("/w/index.php/*", "/w/index.php/*"),
            ("?", ""),
            ("attach12?", "*"),
            ("/1#", "/*"),
            ("/a/b/c/d/e/f/g/h/i/j", "/a/b/c/d/e/f/g/h/i"),
            ("payments-dev-sql-adapter-queue /api/process/123", "payments-dev-sql-adapter-queue /api/process/*"),
            ("/users/jane%40x.org/profile", "/users/*/profile"),
            ("/users/ä/x", "/users/*/x"),
            ("/users/AbCdEfGhIjKlMnOpQrStUvWxYz", "/users/*"),
            ("/getUserProfileSettingsById/html/graphql", "/getUserProfileSettingsById/html/graphql"),
            ("/a/bcdfg/qwrtp", "/a/*/*"),
        ] {
            assert_eq!(String::from_utf8(cluster(text.as_bytes())).unwrap(), expected, "{text}");
        }
    }
}
