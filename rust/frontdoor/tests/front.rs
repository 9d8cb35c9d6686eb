//! The front over real sockets, with an application that the test plays.

mod world;

use pypackager_core::access::{Gate, Key, Terms};
use pypackager_core::endpoint::Policy;
use pypackager_core::policy::Networks;
use pypackager_core::proxies::{Field, Proxies};
use pypackager_frontdoor::answer::Kind;
use pypackager_frontdoor::audience::{Audience, Place, Room};
use pypackager_frontdoor::plan::Plan;
use pypackager_frontdoor::server::Server;
use pypackager_pump::files::Range;
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use world::{MINUTE, ROOT, World, answer, bytes, read_head, segment};

#[test]
fn what_was_published_is_answered_in_every_form() {
    let world = World::new(|_| ());
    world.server.shelf().add(ROOT, "/m", answer(Kind::Manifest, bytes(b"0123456789"), Some(&[b"zip", b"", b"ped"])));
    let cases: [(&str, &str, &[u8], &[&str]); 11] = [
        ("GET /m HTTP/1.1", "200 ok", b"0123456789", &["content-length: 10", "etag: \"one\"", "content-type: text/x"]),
        ("HEAD /m HTTP/1.1", "200 ok", b"", &["content-length: 10"]),
        (
            "GET /m HTTP/1.1\r\naccept-encoding: gzip",
            "200 ok",
            b"zipped",
            &["content-encoding: gzip", "etag: \"one-gzip\""],
        ),
        ("HEAD /m HTTP/1.1\r\naccept-encoding: gzip", "200 ok", b"", &["content-encoding: gzip", "content-length: 6"]),
        ("GET /m HTTP/1.1\r\nrange: bytes=2-4", "206 partial content", b"234", &["content-range: bytes 2-4/10"]),
        ("GET /m HTTP/1.1\r\nrange: bytes=2-4\r\nif-range: \"two\"", "200 ok", b"0123456789", &[]),
        ("GET /m HTTP/1.1\r\nif-none-match: \"one-gzip\"", "304 not modified", b"", &["etag: \"one\""]),
        (
            "GET /m HTTP/1.1\r\nif-none-match: \"one\"\r\naccept-encoding: gzip",
            "304 not modified",
            b"",
            &["etag: \"one-gzip\""],
        ),
        ("GET /m HTTP/1.1\r\nif-none-match: \"two\"", "200 ok", b"0123456789", &[]),
        ("HEAD /m HTTP/1.1\r\nrange: bytes=2-4", "200 ok", b"", &["content-length: 10"]),
        ("GET /m HTTP/1.0", "200 ok", b"0123456789", &[]),
    ];
    for (request, status, expected, fields) in cases {
        let (head, body) = world.ask(request);
        assert!(head.lines().next().expect("a line").ends_with(status), "{request}: {head}");
        assert_eq!(body, expected, "{request}");
        assert!(fields.iter().all(|field| head.contains(field)), "{request}: {head}");
        // RFC 9110 15.4.5: what describes a body that is not there is left out, and nothing is said twice.
        let described = head.contains("content-type") || head.contains("content-length");
        assert_eq!(described, !status.starts_with("304"), "{request}: {head}");
        let names: Vec<_> =
            head.lines().skip(1).filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
        assert!(names.iter().all(|name| names.iter().filter(|other| *other == name).count() == 1), "{request}: {head}");
    }
    assert!(world.questions().is_empty());
    let report = world.server.tally().take();
    assert_eq!(report.lines.len(), cases.len());
    assert_eq!(report.sums[&(Kind::Manifest, 200)].count, 8);
    assert_eq!(report.sums[&(Kind::Manifest, 304)].count, 2);
    assert_eq!(report.sums[&(Kind::Manifest, 206)].bytes, 3);
    assert_eq!(world.server.shelf().asked(ROOT), ["/m"]);
    assert!(world.server.shelf().asked(ROOT).is_empty());
}

#[test]
fn the_rest_is_asked_with_the_viewers_address() {
    let world = World::new(|_| ());
    world.server.shelf().add(ROOT, "/m", answer(Kind::Manifest, bytes(b"text"), None));
    for request in [
        "GET /x HTTP/1.1\r\nx-forwarded-for: 192.0.2.1\r\nte: trailers",
        "GET /m?start=1 HTTP/1.1",
        "OPTIONS /m HTTP/1.1",
        "GET /m HTTP/1.1\r\nrange: bytes=99-",
    ] {
        let (head, body) = world.ask(request);
        assert!(head.starts_with("http/1.1 404"), "{head}");
        assert_eq!(body, b"nothing", "{request}");
    }
    let questions = world.questions();
    assert!(questions[0].contains("x-forwarded-for: 192.0.2.1, 127.0.0.1\r\n"), "{}", questions[0]);
    assert!(!questions[0].contains("te:"), "hop by hop");
    assert!(questions[1].starts_with("get /m?start=1 "));
    assert!(questions[1].contains("x-forwarded-for: 127.0.0.1\r\n"));
}

#[test]
fn what_many_ask_for_is_asked_once() {
    let publish = |server: &Server, head: &str| {
        assert!(head.starts_with("get /v/1 "));
        // Long enough for the others to come.
        thread::sleep(Duration::from_millis(300));
        server.shelf().put(ROOT, "/v/1", answer(Kind::Segment, bytes(b"media"), None), Instant::now() + MINUTE);
    };
    let world = World::with_application(|_| (), publish);
    thread::scope(|scope| {
        let viewers: Vec<_> = (0..20).map(|_| scope.spawn(|| world.ask("GET /v/1 HTTP/1.1").1)).collect();
        let bodies: Vec<_> = viewers.into_iter().map(|viewer| viewer.join().expect("a viewer")).collect();
        // The one who led has the application's own answer.
        assert_eq!(bodies.iter().filter(|body| *body == b"media").count(), 19);
    });
    assert_eq!(world.questions().len(), 1);
}

#[test]
fn a_turn_replaces_manifests_and_keeps_segments() {
    let world = World::new(|_| ());
    let shelf = world.server.shelf();
    shelf.add(ROOT, "/old", answer(Kind::Manifest, bytes(b"1"), None));
    shelf.add("/other", "/o", answer(Kind::Manifest, bytes(b"o"), None));
    segment(&world, "/v/1", bytes(b"media"));
    shelf.turn(ROOT, vec![("/new".into(), answer(Kind::Manifest, bytes(b"2"), None))]);
    assert_eq!(world.ask("GET /new HTTP/1.1").1, b"2");
    assert_eq!(world.ask("GET /old HTTP/1.1").1, b"nothing");
    assert_eq!(world.ask("GET /v/1 HTTP/1.1").1, b"media");
    shelf.withdraw(ROOT);
    assert_eq!(world.ask("GET /new HTTP/1.1").1, b"nothing");
    assert_eq!(world.ask("GET /v/1 HTTP/1.1").1, b"nothing");
    assert_eq!(world.ask("GET /o HTTP/1.1").1, b"o");
    assert_eq!(shelf.load().0, 1);
}

fn gate(terms: Terms) -> Gate {
    Gate::new(ROOT, terms, vec![Key::new("k1", b"secret")])
}

fn room() -> Arc<Room> {
    Arc::default()
}

/// Seconds since 1970, and so many later.
fn in_seconds(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is right");
    now.as_secs() as i64 + seconds
}

#[test]
fn who_has_a_token_shares_what_was_published_without_it() {
    let world = World::new(|_| ());
    world.server.shelf().guard(ROOT, gate(Terms { signed: true, ..Terms::default() }), room());
    segment(&world, "/show/show.ism/v/1", bytes(b"media"));
    let sign = |expires, address: Option<&str>| {
        let address = address.map(|address| address.parse().expect("an address"));
        Key::new("k1", b"secret").sign(ROOT, in_seconds(expires) as u64, address)
    };
    let cases = [
        (format!("/show/~{}/show.ism/v/1", sign(60, None)), true),
        (format!("/show/~{}/show.ism/v/1", sign(60, Some("127.0.0.1"))), true),
        (format!("/show/~{}/show.ism/v/1 HTTP/1.1\r\nx-forwarded-for: 192.0.2.1", sign(60, None)), true),
        (format!("/show/~{}/show.ism/v/1 HTTP/1.1\r\nx-forwarded-for: 192.0.2.1", sign(60, Some("127.0.0.1"))), true),
        (format!("/show/~{}/show.ism/v/1 HTTP/1.1\r\nx-forwarded-for: 192.0.2.1", sign(60, Some("192.0.2.1"))), false),
        (format!("/show/~{}/show.ism/v/1", sign(60, Some("127.0.0.2"))), false),
        (format!("/show/~{}/show.ism/v/1", sign(-1, None)), false),
        (format!("/show/show.ism/~{}/v/1", sign(60, None)), false),
        (format!("/show/~{}/show.ism/v/2", sign(60, None)), false),
        ("/show/~x/show.ism/v/1".into(), false),
        ("/show/show.ism/v/1".into(), false),
    ];
    for (target, given) in &cases {
        let head = if target.contains(" HTTP") { format!("GET {target}") } else { format!("GET {target} HTTP/1.1") };
        assert_eq!(world.ask(&head).1, if *given { b"media".as_slice() } else { b"nothing" }, "{target}");
    }
    assert_eq!(world.questions().len(), 7, "whoever is refused is told why by the application");
    let shown: Vec<_> = world.server.tally().take().lines.into_iter().map(|line| line.target).collect();
    assert_eq!(shown, ["/show/~/show.ism/v/1"; 4], "no token is logged");
    assert_eq!(world.server.shelf().asked(ROOT), ["/show/show.ism/v/1"]);
}

#[test]
fn an_endpoint_gives_to_whom_its_rules_let() {
    let world = World::new(|_| ());
    segment(&world, "/show/show.ism/v/1", bytes(b"media"));
    let given = |policy: &Policy, fields: &str| {
        world.server.obey(policy.clone());
        let (head, body) = world.ask(&format!("GET /show/show.ism/v/1 HTTP/1.1\r\nhost: live.example:80{fields}"));
        (body == b"media").then_some(head)
    };
    let running = Policy { running: true, ..Policy::default() };
    let here = Policy { allow: Networks::parse(["127.0.0.0/8"]).expect("a rule"), ..running.clone() };
    let there = Policy { allow: Networks::parse(["192.0.2.0/24"]).expect("a rule"), ..running.clone() };
    let named = |host: &str| Policy { hosts: vec![host.into()], ..running.clone() };
    let cdn = Policy { secret: Some("s3cret".into()), ..running.clone() };
    assert!(given(&running, "\r\nx-forwarded-for: 192.0.2.1").is_some() && given(&Policy::default(), "").is_none());
    assert!(given(&here, "").is_some() && given(&there, "").is_none());
    for forwarded in ["\r\nx-forwarded-for: 192.0.2.1", "\r\nforwarded: for=192.0.2.1"] {
        assert!(given(&here, forwarded).is_some() && given(&there, forwarded).is_none(), "nobody's word is believed");
    }
    assert!(given(&named("live.example"), "").is_some() && given(&named("other.example"), "").is_none());
    assert!(given(&cdn, "\r\nX-CDN-Secret: s3cret").is_some() && given(&cdn, "").is_none());
    let site = Policy { origins: Some(vec!["https://site.example".into()]), ..running.clone() };
    let head = given(&site, "\r\norigin: https://site.example").expect("media");
    assert!(head.contains("access-control-allow-origin: https://site.example") && head.contains("vary: origin"));
    let head = given(&site, "\r\norigin: https://other.example").expect("media");
    assert!(!head.contains("access-control-allow-origin") && head.contains("vary: origin"));
}

#[test]
fn an_address_is_what_the_proxies_that_are_believed_say_in_their_field() {
    let trusted = Networks::parse(["127.0.0.0/8"]).expect("a rule");
    let world = World::new(|options| options.proxies = Proxies { trusted, field: Field::Forwarded });
    let there = Networks::parse(["192.0.2.0/24"]).expect("a rule");
    world.server.obey(Policy { running: true, allow: there, ..Policy::default() });
    segment(&world, "/v/1", bytes(b"media"));
    let cases = [
        ("forwarded: for=192.0.2.1", true),
        ("forwarded: for=198.51.100.1, for=192.0.2.2\r\nx-forwarded-for: 198.51.100.1", true),
        ("forwarded: for=192.0.2.1, for=198.51.100.1", false),
        ("forwarded: for=_hidden", false),
        ("x-forwarded-for: 192.0.2.1", false),
    ];
    for (fields, given) in cases {
        let (_, body) = world.ask(&format!("GET /v/1 HTTP/1.1\r\n{fields}"));
        assert_eq!(body, if given { b"media".as_slice() } else { b"nothing" }, "{fields}");
    }
    let shown: Vec<_> = world.server.tally().take().lines.into_iter().map(|line| line.client).collect();
    assert_eq!(shown, ["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn who_is_given_something_is_counted_where_it_is_published() {
    let trusted = Networks::parse(["127.0.0.0/8"]).expect("a rule");
    let world = World::new(|options| options.proxies.trusted = trusted);
    let audience = Audience::default();
    let place = Place { endpoint: "default".into(), channel: "news".into(), locator: "show".into() };
    world.server.shelf().guard(ROOT, gate(Terms::default()), audience.room(place.clone()));
    segment(&world, "/show/show.ism/v/1", bytes(b"media"));
    let given = [
        "?CMCD=bl%3D100%2Csid%3D%22one%22 HTTP/1.1",
        "?CMCD=sid%3D%22one%22 HTTP/1.1\r\nx-forwarded-for: 192.0.2.9",
        " HTTP/1.1\r\ncmcd-session: cid=\"x\",sid=\"two\"",
        " HTTP/1.1\r\nx-forwarded-for: 192.0.2.1",
        " HTTP/1.1\r\nx-forwarded-for: 192.0.2.1\r\nuser-agent: another",
        " HTTP/1.1\r\nx-forwarded-for: 192.0.2.1\r\nrange: bytes=1-2",
    ];
    for end in given {
        assert!(world.ask(&format!("GET /show/show.ism/v/1{end}")).0.starts_with("http/1.1 20"), "{end}");
    }
    world.ask("GET /show/show.ism/v/1?start=1 HTTP/1.1\r\nx-forwarded-for: 192.0.2.2");
    world.ask("GET /show/show.ism/v/2 HTTP/1.1\r\nx-forwarded-for: 192.0.2.2");
    assert_eq!(world.questions().len(), 2, "what the application answers it counts");
    assert_eq!(audience.viewers(Instant::now()), [(place.clone(), 4)]);
    assert_eq!(audience.take(Instant::now()), [(place, 5 * 5 + 2)]);
}

#[test]
fn what_is_over_is_given_no_more() {
    let world = World::new(|_| ());
    let soon = Terms { expires: Some((in_seconds(1) + 1) * 1_000_000), ..Terms::default() };
    world.server.shelf().guard(ROOT, gate(soon), room());
    segment(&world, "/show/show.ism/v/1", bytes(b"media"));
    assert_eq!(world.ask("GET /show/show.ism/v/1 HTTP/1.1").1, b"media");
    while in_seconds(0) * 1_000_000 < soon.expires.expect("an end") {
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(world.ask("GET /show/show.ism/v/1 HTTP/1.1").1, b"nothing");
    let room = room();
    let later = Terms { starts: Some(in_seconds(60) * 1_000_000), ..Terms::default() };
    world.server.shelf().guard(ROOT, gate(later), Arc::clone(&room));
    assert_eq!(world.server.shelf().load().0, 0, "another gate begins with nothing behind it");
    segment(&world, "/show/show.ism/v/1", bytes(b"media"));
    assert_eq!(world.ask("GET /show/show.ism/v/1 HTTP/1.1").1, b"nothing", "not yet");
    world.server.shelf().guard(ROOT, gate(later), Arc::clone(&room));
    assert_eq!(world.server.shelf().load().0, 1, "the same gate changes nothing");
}

#[test]
fn bodies_are_bounded_and_come_again() {
    let world = World::new(|options| options.cache_bytes = 1000);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("blob").to_string_lossy().into_owned();
    std::fs::write(&path, [7u8; 4000]).expect("a blob");
    let stored = |size| Plan::Stored(vec![Range { path: path.clone(), offset: 0, size }]);
    for number in 0..10 {
        segment(&world, &format!("/v/{number}"), stored(200));
    }
    for number in 0..10 {
        assert_eq!(world.ask(&format!("GET /v/{number} HTTP/1.1")).1, [7u8; 200]);
        assert!(world.server.shelf().load().1 <= 1000);
    }
    assert_eq!(world.ask("GET /v/9 HTTP/1.1").1.len(), 200);
    assert_eq!(world.ask("GET /v/0 HTTP/1.1").1, [7u8; 200], "its body left, not the way to make it");
    segment(&world, "/v/big", stored(4000));
    assert_eq!(world.ask("GET /v/big HTTP/1.1").1.len(), 4000, "shared, and not kept");
    assert!(world.server.shelf().load().1 <= 1000);
    segment(&world, "/v/gone", Plan::Stored(vec![Range { path: format!("{path}-gone"), offset: 0, size: 1 }]));
    assert_eq!(world.ask("GET /v/gone HTTP/1.1").1, b"nothing", "the application says why");
}

#[test]
fn a_viewer_that_takes_nothing_is_cut_off() {
    let world = World::new(|options| options.stall = Duration::from_millis(200));
    let size = 64 << 20;
    segment(&world, "/v/1", Plan::Bytes(vec![0u8; size].into()));
    let mut stalled = TcpStream::connect(world.address).expect("a connection");
    write!(stalled, "GET /v/1 HTTP/1.1\r\nhost: x\r\n\r\n").expect("the front reads");
    thread::sleep(Duration::from_secs(1));
    let mut received = 0;
    let mut buffer = vec![0; 1 << 20];
    while let Ok(count @ 1..) = stalled.read(&mut buffer) {
        received += count;
    }
    assert!(received < size, "the connection ended before the answer did");
    assert_eq!(world.ask("HEAD /v/1 HTTP/1.1").0.lines().next(), Some("http/1.1 200 ok"), "others are served");
}

#[test]
fn the_end_closes_idle_connections_at_once() {
    let world = World::new(|options| options.grace = Duration::from_secs(20));
    segment(&world, "/v/1", bytes(b"media"));
    let mut idle = BufReader::new(TcpStream::connect(world.address).expect("a connection"));
    write!(idle.get_mut(), "GET /v/1 HTTP/1.1\r\nhost: x\r\n\r\n").expect("the front reads");
    read_head(&mut idle).expect("an answer");
    let silent = TcpStream::connect(world.address).expect("a connection");
    thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    world.server.stop();
    assert!(begun.elapsed() < Duration::from_secs(2));
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).expect("an end");
    assert_eq!(rest, b"media");
    drop(silent.shutdown(Shutdown::Both));
    assert!(TcpStream::connect(world.address).is_err());
}

#[test]
fn answers_under_way_end_within_the_time_of_grace() {
    let (asked, waits) = mpsc::channel();
    let asked = Mutex::new(asked);
    let slow = move |_: &Server, _: &str| {
        asked.lock().expect("a lock").send(()).expect("the test waits");
        thread::sleep(Duration::from_millis(400));
    };
    let world = World::with_application(|_| (), slow);
    thread::scope(|scope| {
        let viewer = scope.spawn(|| world.ask("GET /x HTTP/1.1").1);
        waits.recv().expect("a question");
        world.server.stop();
        assert_eq!(viewer.join().expect("a viewer"), b"nothing");
    });
}
