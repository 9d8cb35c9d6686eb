//! Who the encoder says it is: HTTP Basic (RFC 7617) and Digest (RFC 7616), and Adobe's challenge over RTMP (`authmod=adobe`).
//!
//! In: user information of a URL, challenges. Out: what to answer them with. Never: a word of it before it is asked for.
//!
//! Adobe's challenge has no specification. A connect is refused with `code=403 need auth; authmod=adobe`; the second one names the user in the
//! query of its application and is refused with a salt, a challenge and, by some, an opaque value; the third one answers with
//! base64(MD5(base64(MD5(user + salt + password)) + (opaque, else challenge) + a challenge of its own)).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use sha2::Sha256;
use std::collections::hash_map::RandomState;
use std::fmt::{self, Write};
use std::hash::{BuildHasher, Hasher};
use std::sync::{Mutex, PoisonError};

/// A user and what the other side asks of it; shared by the connections of a stream.
pub(super) struct Login {
    user: String,
    password: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    http: Option<Scheme>,
    /// Query of the next connect.
    rtmp: String,
    /// Challenges in a row after which nothing was taken.
    vain: u32,
}

enum Scheme {
    Basic,
    Digest { realm: String, nonce: String, opaque: Option<String>, strong: bool, count: u32 },
}

impl Login {
    /// `user[:password]` of a URL, percent-encoded.
    pub(super) fn new(information: &str) -> Self {
        let (user, password) = information.split_once(':').unwrap_or((information, ""));
        Self { user: unquote(user), password: unquote(password), state: Mutex::default() }
    }

    /// Takes the `WWW-Authenticate` values of a 401; whether it is worth another attempt.
    pub(super) fn challenged(&self, challenges: &[String]) -> bool {
        self.with(|state| {
            let schemes = challenges.iter().filter_map(|challenge| read_scheme(challenge));
            let best = schemes.max_by_key(|scheme| match scheme {
                Scheme::Basic => 0,
                Scheme::Digest { strong, .. } => 1 + u32::from(*strong),
            });
            // Basic says all that there is to say at once.
            let again = matches!((&state.http, &best), (Some(Scheme::Basic), Some(Scheme::Basic)));
            state.http = best;
            state.vain += 1;
            state.http.is_some() && !again && state.vain <= MAX_VAIN
        })
    }

    /// The value of `Authorization` for a request; `None` before a challenge.
    pub(super) fn authorization(&self, method: &str, target: &str) -> Option<String> {
        self.with(|state| match state.http.as_mut()? {
            Scheme::Basic => Some(format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password)))),
            Scheme::Digest { realm, nonce, opaque, strong, count } => {
                *count += 1;
                let (cnonce, count) = (format!("{:016x}", random()), format!("{count:08x}"));
                let hash = if *strong { hex::<Sha256> } else { hex::<Md5> };
                let who = hash(&format!("{}:{realm}:{}", self.user, self.password));
                let what = hash(&format!("{method}:{target}"));
                let response = hash(&format!("{who}:{nonce}:{count}:{cnonce}:auth:{what}"));
                let algorithm = if *strong { "SHA-256" } else { "MD5" };
                let opaque = opaque.as_ref().map(|opaque| format!(", opaque={}", quote(opaque))).unwrap_or_default();
                Some(format!(
                    "Digest username={}, realm={}, nonce={}, uri={}, algorithm={algorithm}, qop=auth, nc={count}, \
                     cnonce=\"{cnonce}\", response=\"{response}\"{opaque}",
                    quote(&self.user),
                    quote(realm),
                    quote(nonce),
                    quote(target),
                ))
            }
        })
    }

    /// Takes the description of a connect that was refused; whether it is worth another attempt.
    pub(super) fn asked(&self, description: &str) -> bool {
        if !description.contains("authmod=adobe") {
            return false;
        }
        let user = escape(&self.user);
        let known = format!("?authmod=adobe&user={user}");
        let field = |name: &str| {
            let fields = description.rsplit('?').next().unwrap_or_default().split('&');
            fields
                .filter_map(|field| field.trim().split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        };
        self.with(|state| {
            state.vain += 1;
            match field("reason") {
                Some("needauth") => {
                    let (salt, challenge) = (field("salt").unwrap_or_default(), field("challenge").unwrap_or_default());
                    let own = format!("{:08x}", random() as u32);
                    let secret = base64_md5(&format!("{user}{salt}{}", self.password));
                    let asked = field("opaque").unwrap_or(challenge);
                    let response = base64_md5(&format!("{secret}{asked}{own}"));
                    state.rtmp = format!("{known}&challenge={own}&response={response}");
                    if let Some(opaque) = field("opaque") {
                        let _ = write!(state.rtmp, "&opaque={opaque}");
                    }
                }
                None if description.contains("code=403") => state.rtmp = known,
                _ => return false,
            }
            state.vain <= MAX_VAIN
        })
    }

    /// What the next connect has behind its application; empty before a challenge.
    pub(super) fn query(&self) -> String {
        self.with(|state| state.rtmp.clone())
    }

    /// The other side took it: what was answered is spent, and the next connection is asked anew.
    pub(super) fn taken(&self) {
        self.with(|state| {
            state.vain = 0;
            if !state.rtmp.is_empty() {
                state.rtmp = format!("?authmod=adobe&user={}", escape(&self.user));
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A password does not belong into a log.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A challenge that can be answered; one a field.
fn read_scheme(challenge: &str) -> Option<Scheme> {
    let (scheme, rest) = challenge.trim().split_once(' ').unwrap_or((challenge.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Scheme::Basic);
    }
    if !scheme.eq_ignore_ascii_case("digest") {
        return None;
    }
    let fields = parameters(rest);
    let field =
        |name: &str| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone());
    let strong = match field("algorithm").unwrap_or_else(|| "MD5".to_owned()).to_ascii_uppercase().as_str() {
        "SHA-256" => true,
        "MD5" => false,
        _ => return None,
    };
    let auth = field("qop").is_some_and(|qop| qop.split(',').any(|each| each.trim().eq_ignore_ascii_case("auth")));
    let scheme =
        Scheme::Digest { realm: field("realm")?, nonce: field("nonce")?, opaque: field("opaque"), strong, count: 0 };
    auth.then_some(scheme)
}

/// `name=value` and `name="value"`, separated by commas (RFC 9110 11.2).
fn parameters(text: &str) -> Vec<(String, String)> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some((name, behind)) = rest.split_once('=') {
        let mut value = String::new();
        let mut characters = behind.trim_start().chars();
        if behind.trim_start().starts_with('"') {
            characters.next();
            while let Some(character) = characters.next().filter(|character| *character != '"') {
                value.extend(if character == '\\' { characters.next() } else { Some(character) });
            }
        } else {
            let end = characters.as_str().find(',').unwrap_or(characters.as_str().len());
            characters.as_str()[..end].trim().clone_into(&mut value);
        }
        rest = characters.as_str().split_once(',').map_or("", |(_, next)| next);
        found.push((name.trim_matches([' ', ',', '\t']).to_owned(), value));
    }
    found
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn unquote(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|_| first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &behind[2..];
        } else {
            bytes.push(first);
            rest = behind;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What may stand in a query as it is stays.
fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let mut out = String::new();
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn hex<D: Digest>(text: &str) -> String {
    D::digest(text.as_bytes()).iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn base64_md5(text: &str) -> String {
    STANDARD.encode(Md5::digest(text.as_bytes()))
}

/// For values that only have to be new.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Challenges that are answered in a row: a name, a challenge, one that was too old meanwhile, and another such.
const MAX_VAIN: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn field(authorization: &str, name: &str) -> String {
        let (_, fields) = authorization.split_once(' ').unwrap();
        parameters(fields).into_iter().find(|(key, _)| key == name).unwrap().1
    }

    #[test]
    fn the_strongest_challenge_is_answered() {
        let login = Login::new("Muf%61sa:Circle%20of%20Life");
        assert_eq!(login.authorization("POST", "/x"), None);
        let digest = |name: &str| {
            format!(
                "Digest realm=\"a, \\\"b\\\"\", qop=\"auth, auth-int\", algorithm={name}, nonce=\"n=1,\", opaque=\"o\""
            )
        };
        assert!(login.challenged(&["Basic realm=\"x\"".into(), digest("MD5"), digest("SHA-256"), digest("SHA-512")]));
        for count in ["00000001", "00000002"] {
            let said = login.authorization("POST", "/dir/index.html?a").unwrap();
            let part = |name: &str| field(&said, name);
            assert_eq!((part("username"), part("realm")), ("Mufasa".into(), "a, \"b\"".into()));
            assert_eq!((part("nonce"), part("opaque"), part("nc")), ("n=1,".into(), "o".into(), count.into()));
            let who = hex::<Sha256>("Mufasa:a, \"b\":Circle of Life");
            let what = hex::<Sha256>("POST:/dir/index.html?a");
            let expected = hex::<Sha256>(&format!("{who}:n=1,:{count}:{}:auth:{what}", part("cnonce")));
            assert_eq!(part("response"), expected);
        }
    }

    #[test]
    fn the_hashes_are_those_of_the_rfc() {
        // RFC 7616 3.9.1, whose client nonce is given.
        let nonces =
            "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v:00000001:f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ:auth";
        let user = "Mufasa:http-auth@example.org:Circle of Life";
        let md5 = format!("{}:{nonces}:{}", hex::<Md5>(user), hex::<Md5>("GET:/dir/index.html"));
        assert_eq!(hex::<Md5>(&md5), "8ca523f5e9506fed4657c9700eebdbec");
        let sha = format!("{}:{nonces}:{}", hex::<Sha256>(user), hex::<Sha256>("GET:/dir/index.html"));
        assert_eq!(hex::<Sha256>(&sha), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    }

    #[test]
    fn basic_is_said_once() {
        let login = Login::new("Aladdin:open%20sesame");
        let challenge = ["BASIC realm=\"x\"".to_owned()];
        assert!(login.challenged(&challenge));
        assert_eq!(login.authorization("POST", "/").unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(!login.challenged(&challenge), "it was wrong");
        assert!(!Login::new("a").challenged(&["Negotiate".into(), "Digest realm=\"no nonce\"".into()]));
    }

    #[test]
    fn a_server_that_only_challenges_is_left() {
        let login = Login::new("a:b");
        let challenge = ["Digest realm=\"r\", qop=\"auth\", nonce=\"n\"".to_owned()];
        let tries = (0..10).take_while(|_| login.challenged(&challenge)).count();
        assert_eq!(tries, MAX_VAIN as usize);
        login.taken();
        assert!(login.challenged(&challenge));
    }

    #[test]
    fn adobes_challenge_takes_three_connects() {
        let login = Login::new("stu%26dio:secret");
        assert_eq!(login.query(), "");
        assert!(!login.asked("no such application"));
        assert!(login.asked("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "));
        assert_eq!(login.query(), "?authmod=adobe&user=stu%26dio");
        let asked = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=stu%26dio&salt=SALT&challenge=C1&opaque=OPA==";
        assert!(login.asked(asked));
        let query = login.query();
        let value = |name: &str| query.split('&').find_map(|part| part.strip_prefix(name)).unwrap().to_owned();
        let (own, opaque) = (value("challenge="), value("opaque="));
        assert_eq!(opaque, "OPA==");
        let secret = base64_md5("stu%26dioSALTsecret");
        assert_eq!(value("response="), base64_md5(&format!("{secret}OPA=={own}")));
        assert!(!login.asked("[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed"));
        login.taken();
        assert_eq!(login.query(), "?authmod=adobe&user=stu%26dio");
        assert!(login.asked("[ authmod=adobe ] : ?reason=needauth&user=x&salt=S&challenge=C2"));
        assert!(!login.query().contains("opaque"), "without one the challenge counts");
    }

    #[test]
    fn a_password_is_in_no_text() {
        assert!(!format!("{:?}", Login::new("user:hidden")).contains("hidden"));
    }
}
