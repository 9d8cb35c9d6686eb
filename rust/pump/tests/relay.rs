//! TLS that goes on in another pump: the keys stay with the first, the session is with the second.
#![allow(clippy::unwrap_used)]

mod support;

use pypackager_pump::pump::{Event, Number, Options, Parcel, Protocol};
use rustls::ClientConnection;
use rustls::version::TLS13;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;
use support::tls::{Authority, answer, sealed, shake};
use support::{Bench, ISMV, RTMP, quick};

/// The pump of who accepts connections, that of a worker, and a client of the first that has shaken hands.
fn world(protocol: Protocol) -> (Bench, Bench, ClientConnection, TcpStream, Number) {
    let authority = Authority::new();
    let acceptor = Bench::new(Options { keep_openings: true, ..quick() });
    let (mut socket, number) = acceptor.connect_tls(protocol, &authority.server(None));
    let mut client = authority.client(None, &TLS13).unwrap();
    shake(&mut client, &mut socket, usize::MAX);
    (acceptor, Bench::quick(), client, socket, number)
}

/// Passes a connection on as soon as it is asked about; gives its number in the other pump.
fn pass(from: &mut Bench, to: &Bench, number: Number) -> Number {
    from.next("a question", |event| matches!(event, Event::Request { .. } | Event::PublishRequested { .. }));
    from.pump.give(number);
    let Event::Given { parcel, .. } = from.next("Given", |event| matches!(event, Event::Given { .. })) else {
        unreachable!()
    };
    from.events.retain(|event| !matches!(event, Event::Given { .. }));
    let Parcel { socket, protocol, opening, decided, unsent } = &*parcel;
    let (socket, opening, unsent) = (socket.try_clone().unwrap(), opening.clone(), unsent.clone());
    to.pump.adopt(Parcel { socket, protocol: *protocol, opening, decided: *decided, unsent })
}

#[test]
fn a_body_is_taken_and_answered_there_however_its_records_are_cut() {
    let mut stories = Vec::new();
    for piece in [usize::MAX, 700, 16_400] {
        let (mut acceptor, mut worker, mut client, mut socket, number) = world(Protocol::Http);
        let bytes = sealed(&mut client, ISMV);
        let mut writing = socket.try_clone().unwrap();
        let sender =
            std::thread::spawn(move || bytes.chunks(piece).for_each(|piece| writing.write_all(piece).unwrap()));
        let number = pass(&mut acceptor, &worker, number);
        worker.request(number);
        worker.pump.accept(number, None);
        worker.body_end(number);
        worker.ok(number, true);
        assert_eq!(worker.closed(number).0, "");
        sender.join().unwrap();
        let told = answer(&mut client, &mut socket).expect("an answer and a farewell");
        assert!(told.starts_with("HTTP/1.1 200 OK\r\n"), "{told}");
        stories.push(worker.story(number));
    }
    assert!(stories[0].iter().filter(|line| line.starts_with("chunk")).count() >= 9, "{:#?}", stories[0]);
    assert!(stories.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_publish_is_the_same_as_in_the_clear() {
    let (mut acceptor, mut worker, mut client, mut socket, number) = world(Protocol::Rtmp);
    let (first, rest) = RTMP.split_at(RTMP.len() / 2);
    let (first, rest) = (sealed(&mut client, first), sealed(&mut client, rest));
    socket.write_all(&first).unwrap();
    let relayed = pass(&mut acceptor, &worker, number);
    let publish = |bench: &mut Bench, number: Number| {
        bench.next("publish?", |event| matches!(event, Event::PublishRequested { conn, .. } if *conn == number));
        bench.pump.accept(number, None);
        bench.next("clock?", |event| matches!(event, Event::NeedClock { conn, .. } if *conn == number));
        bench.pump.bind(number, number);
    };
    publish(&mut worker, relayed);
    // Media flows, and is read at the tick: the first second, in which it is read at once, is over.
    std::thread::sleep(Duration::from_millis(1100));
    socket.write_all(&rest).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(worker.closed(relayed).0, "");
    let (mut plain, direct) = worker.connect(Protocol::Rtmp);
    plain.write_all(RTMP).unwrap();
    publish(&mut worker, direct);
    plain.shutdown(Shutdown::Write).unwrap();
    assert_eq!(worker.closed(direct).0, "");
    assert_eq!(worker.story(relayed), worker.story(direct));
}

#[test]
fn the_end_of_one_side_is_the_end_of_the_other() {
    // The worker dies: its encoder is told, and what was read for it is dropped.
    let (mut acceptor, worker, mut client, mut socket, number) = world(Protocol::Http);
    let half = sealed(&mut client, &ISMV[..ISMV.len() / 2]);
    socket.write_all(&half).unwrap();
    pass(&mut acceptor, &worker, number);
    drop(worker);
    assert_eq!(answer(&mut client, &mut socket).expect("a farewell"), "");

    // The encoder's network breaks.
    let (mut acceptor, mut worker, mut client, mut socket, number) = world(Protocol::Http);
    let half = sealed(&mut client, &ISMV[..ISMV.len() / 2]);
    socket.write_all(&half).unwrap();
    let number = pass(&mut acceptor, &worker, number);
    worker.request(number);
    worker.pump.accept(number, None);
    drop(socket);
    assert_eq!(worker.closed(number).0, "HTTP_BODY_TRUNCATED");
}

#[test]
fn who_is_not_read_is_not_read_for() {
    let (mut acceptor, worker, mut client, mut socket, number) = world(Protocol::Http);
    let head = sealed(&mut client, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n");
    socket.write_all(&head).unwrap();
    pass(&mut acceptor, &worker, number);
    // Nobody decides: the worker reads nothing more.
    socket.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let zeros = vec![0; 1 << 20];
    let taken = (0..90).take_while(|_| socket.write_all(&sealed(&mut client, &zeros)).is_ok()).count();
    assert!(taken < 64, "{taken} MiB were taken for one who takes none");
}
