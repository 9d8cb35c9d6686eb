use super::*;
use proptest::prelude::*;

const ROOT: &str = "/show/show.ism";
const SECOND: i64 = 1_000_000;
const HERE: &str = "192.0.2.7";

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn gate(terms: Terms) -> Gate {
    Gate::new(ROOT, terms, vec![Key::new("k1", b"secret"), Key::new("k2", b"another")])
}

fn signed() -> Gate {
    gate(Terms { signed: true, ..Terms::default() })
}

#[test]
fn instants_hold_to_the_microsecond() {
    let open = gate(Terms::default());
    let gate = gate(Terms { starts: Some(10 * SECOND), expires: Some(20 * SECOND), signed: false });
    let judged = |now| gate.judge(now, None, None);
    assert_eq!(judged(10 * SECOND - 1), Err(Refusal::Early));
    assert_eq!(judged(10 * SECOND), Ok(()));
    assert_eq!(judged(20 * SECOND - 1), Ok(()));
    assert_eq!(judged(20 * SECOND), Err(Refusal::Over));
    assert!(!gate.is_open() && open.is_open());
}

#[test]
fn a_token_is_that_of_the_documentation() {
    // python3 -c 'import hmac; print(hmac.new(b"secret", b"pypackager-token-1\n/show/show.ism\n1800000000\n", "sha256").hexdigest())'
    let any = "k1.1800000000.afa8e016530dbc85c93509d1f1372bb0ea72312956a40244ea9d6c11e8375654";
    let one = "k1.1800000000.a.70e9d72c87e427075bf6beeb4d959425dbb8e9290c72c250738c270644826367";
    let key = Key::new("k1", b"secret");
    assert_eq!(key.sign(ROOT, 1_800_000_000, None), any);
    assert_eq!(key.sign(ROOT, 1_800_000_000, Some(address("::ffff:192.0.2.7"))), one);
}

#[test]
fn a_token_holds_until_its_second_for_its_root_and_its_keys() {
    for (id, secret) in [("k1", "secret"), ("k2", "another")] {
        let token = Key::new(id, secret.as_bytes()).sign(ROOT, 100, None);
        assert_eq!(signed().judge(100 * SECOND - 1, Some(&token), None), Ok(()));
        assert_eq!(signed().judge(100 * SECOND, Some(&token), None), Err(Refusal::Expired));
    }
    let judged = |token: &str| signed().judge(0, Some(token), Some(address(HERE)));
    assert_eq!(signed().judge(0, None, None), Err(Refusal::Missing));
    assert_eq!(judged(&Key::new("k1", b"another").sign(ROOT, 100, None)), Err(Refusal::Invalid));
    assert_eq!(judged(&Key::new("k3", b"secret").sign(ROOT, 100, None)), Err(Refusal::Invalid));
    assert_eq!(judged(&Key::new("k1", b"secret").sign("/show/other.ism", 100, None)), Err(Refusal::Invalid));
    let wrong = Key::new("k1", b"another").sign(ROOT, 100, None);
    assert_eq!(signed().judge(i64::MAX, Some(&wrong), None), Err(Refusal::Invalid), "who can't sign learns no time");
}

#[test]
fn a_bound_token_is_its_viewers_alone() {
    let token = Key::new("k1", b"secret").sign(ROOT, 100, Some(address(HERE)));
    let judged = |viewer: Option<&str>| signed().judge(0, Some(&token), viewer.map(address));
    assert_eq!(judged(Some(HERE)), Ok(()));
    assert_eq!(judged(Some("::ffff:192.0.2.7")), Ok(()));
    assert_eq!(judged(Some("192.0.2.8")), Err(Refusal::Invalid));
    assert_eq!(judged(None), Err(Refusal::Invalid));
    assert_eq!(signed().judge(0, Some(&token.replace(".a.", ".")), Some(address(HERE))), Err(Refusal::Invalid));
}

#[test]
fn a_token_that_nobody_demands_has_to_be_right() {
    let open = gate(Terms::default());
    assert_eq!(open.judge(0, Some("x"), None), Err(Refusal::Invalid));
    assert_eq!(open.judge(0, Some(&Key::new("k1", b"secret").sign(ROOT, 1, None)), None), Ok(()));
}

#[test]
fn a_path_has_one_place_for_its_token() {
    let split = split_token("/show/~k1.2.3/show.ism/v/1.m4s").expect("a token");
    assert_eq!((split.before, split.token, split.behind), ("/show", "k1.2.3", "/show.ism/v/1.m4s"));
    assert_eq!((split.target(), split.shown()), ("/show/show.ism/v/1.m4s".into(), "/show/~/show.ism/v/1.m4s".into()));
    assert!(signed().has_token_at(split.before));
    let late = split_token("/show/show.ism/~x/manifest").expect("a token");
    assert!(!signed().has_token_at(late.before));
    assert_eq!(split_token("/play/show/~x").map(|split| (split.token, split.behind)), Some(("x", "")));
    for path in ["/~x/show.ism/manifest", "/show/show.ism/a~b", "/", "", "/show~/x"] {
        assert_eq!(split_token(path), None, "{path}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?}", signed());
    assert!(!shown.contains("secret") && !shown.contains("another") && shown.contains("k1"), "{shown}");
    assert_ne!(signed(), Gate::new(ROOT, Terms { signed: true, ..Terms::default() }, vec![Key::new("k1", b"new")]));
}

proptest! {
    #[test]
    fn no_other_text_is_a_token(at in 0usize..80, with in "[ -~]", now in any::<i64>()) {
        let token = Key::new("k1", b"secret").sign(ROOT, 1_800_000_000, None);
        let at = at % token.len();
        let changed = format!("{}{with}{}", &token[..at], &token[at + 1..]);
        let judged = signed().judge(now, Some(&changed), None);
        prop_assert_eq!(judged == Err(Refusal::Invalid), changed != token);
    }

    #[test]
    fn any_text_is_refused_and_any_path_splits(token in ".{0,90}|[a-z0-9]{0,3}[.][0-9]{0,20}[.](a[.])?[0-9a-fA-F]{60,66}", path in "[/~a.é]{0,20}") {
        prop_assert_eq!(signed().judge(0, Some(&token), None), Err(Refusal::Invalid));
        if let Some(split) = split_token(&path) {
            prop_assert_eq!(format!("{}/~{}{}", split.before, split.token, split.behind), path.as_str());
            prop_assert!(!split.token.contains('/') && !split.before.is_empty());
        }
    }
}
