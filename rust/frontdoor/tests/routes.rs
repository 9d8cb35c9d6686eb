//! Several applications behind one front.

mod world;

use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use world::{World, read_head};

/// An application that says its name.
fn application(socket: &Path, name: &'static str) {
    let listening = UnixListener::bind(socket).expect("a Unix socket");
    thread::spawn(move || {
        for stream in listening.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            thread::spawn(move || {
                while read_head(&mut stream).is_some() {
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
                    stream.get_mut().write_all(answer.as_bytes()).expect("the front reads");
                }
            });
        }
    });
}

#[test]
fn each_is_asked_for_what_it_has_and_the_rest_goes_on_when_one_is_gone() {
    let world = World::new(|_| ());
    let folder = tempfile::tempdir().expect("a folder");
    let socket = |name: &str| Arc::<Path>::from(folder.path().join(name));
    application(&socket("one"), "first");
    application(&socket("two"), "second");
    let routes =
        |two: &str| HashMap::from([("show".to_owned(), socket("one")), ("preview/news".to_owned(), socket(two))]);
    let ask = |path: &str| {
        let (head, body) = world.ask(&format!("GET {path} HTTP/1.1"));
        (head[9..12].to_owned(), String::from_utf8_lossy(&body).into_owned())
    };
    let said = |text: &str| ("200".to_owned(), text.to_owned());
    world.server.route(routes("two"));
    for _ in 0..2 {
        assert_eq!(ask("/show/show.ism/manifest"), said("first"));
        assert_eq!(ask("/preview/news.isml/manifest?start=1"), said("second"));
        assert_eq!(ask("/other/other.ism/manifest").1, "nothing");
    }
    world.server.route(routes("nobody"));
    let (status, problem) = ask("/preview/news.isml/manifest");
    assert_eq!(status, "503");
    assert!(problem.contains("ORIGIN_UNAVAILABLE"), "{problem}");
    assert_eq!(ask("/show/show.ism/manifest"), said("first"));
    world.server.route(HashMap::new());
    assert_eq!(ask("/show/show.ism/manifest").1, "nothing");
}
