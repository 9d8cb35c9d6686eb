//! NetConnection and NetStream commands (RTMP 1.0 7.2): reading what publishers send, writing the answers.

use super::Publish;
use super::amf0::{self, Field, Value};
use crate::error::{Error, Result};

/// A command with the parts that matter to a publisher's server.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Command {
    pub(super) name: String,
    pub(super) transaction: f64,
    /// The command object, then the arguments.
    pub(super) values: Vec<Value>,
}

impl Command {
    /// Parses a command message; `amf3` when its type id is 17, whose first byte says that AMF0 follows.
    pub(super) fn parse(payload: &[u8], amf3: bool) -> Result<Self> {
        let mut values = amf0::parse_values(amf3_body(payload, amf3))?.into_iter();
        let name = values.next().and_then(|value| value.as_str().map(str::to_owned));
        let name = name.ok_or_else(|| Error::new("RTMP_COMMAND", 0, "a command message without a name"))?;
        let transaction = values.next().and_then(|value| value.as_number()).unwrap_or(0.0);
        Ok(Self { name, transaction, values: values.collect() })
    }

    /// The text of the argument at `index`, counted after the command object.
    pub(super) fn text(&self, index: usize) -> Option<&str> {
        self.values.get(index + 1).and_then(Value::as_str)
    }
}

/// The AMF0 part of a message that may be in the AMF3 form.
pub(super) fn amf3_body(payload: &[u8], amf3: bool) -> &[u8] {
    match payload {
        [0, rest @ ..] if amf3 => rest,
        _ => payload,
    }
}

/// Reads what `connect` says of the later publish.
pub(super) fn connection(command: &Command) -> Publish {
    let object = command.values.first();
    let text = |name: &str| object.and_then(|o| o.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (app, query) = split_query(&text("app"));
    Publish { app, stream: String::new(), query, tc_url: text("tcUrl"), flash_ver: text("flashVer") }
}

/// Divides a name from its query and cleans it of surrounding slashes.
pub(super) fn split_query(name: &str) -> (String, String) {
    let (path, query) = name.split_once('?').unwrap_or((name, ""));
    (path.trim_matches('/').to_owned(), query.to_owned())
}

/// The answer to `connect`.
pub(super) fn connected(transaction: f64) -> Vec<u8> {
    let mut out = reply("_result", transaction);
    amf0::write_object(&mut out, &[("fmsVer", Field::Text("FMS/3,5,3,888")), ("capabilities", Field::Number(127.0))]);
    let status = [
        ("level", Field::Text("status")),
        ("code", Field::Text("NetConnection.Connect.Success")),
        ("description", Field::Text("Connection succeeded.")),
        ("objectEncoding", Field::Number(0.0)),
    ];
    amf0::write_object(&mut out, &status);
    out
}

/// `_result` with null and one number or null.
pub(super) fn result(transaction: f64, value: Option<f64>) -> Vec<u8> {
    let mut out = reply("_result", transaction);
    amf0::write_null(&mut out);
    match value {
        Some(number) => amf0::write_number(&mut out, number),
        None => amf0::write_null(&mut out),
    }
    out
}

/// `_error` for a command that is not known here.
pub(super) fn call_failed(transaction: f64) -> Vec<u8> {
    let mut out = reply("_error", transaction);
    amf0::write_null(&mut out);
    status_object(&mut out, "error", "NetConnection.Call.Failed", "no such command");
    out
}

/// `_error` for a `connect` that is refused.
pub(super) fn connect_refused(transaction: f64, description: &str) -> Vec<u8> {
    let mut out = reply("_error", transaction);
    amf0::write_null(&mut out);
    status_object(&mut out, "error", "NetConnection.Connect.Rejected", description);
    out
}

/// `onStatus`, `onFCPublish` or `onFCUnpublish`, the same body under three names.
pub(super) fn status(name: &str, level: &str, code: &str, description: &str) -> Vec<u8> {
    let mut out = reply(name, 0.0);
    amf0::write_null(&mut out);
    status_object(&mut out, level, code, description);
    out
}

fn reply(name: &str, transaction: f64) -> Vec<u8> {
    let mut out = Vec::new();
    amf0::write_string(&mut out, name);
    amf0::write_number(&mut out, transaction);
    out
}

fn status_object(out: &mut Vec<u8>, level: &str, code: &str, description: &str) {
    let fields =
        [("level", Field::Text(level)), ("code", Field::Text(code)), ("description", Field::Text(description))];
    amf0::write_object(out, &fields);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_of_slashes_and_queries() {
        let cases = [
            ("news", "news", ""),
            ("/news/", "news", ""),
            ("news/secondary/?key=a?b", "news/secondary", "key=a?b"),
            ("?k", "", "k"),
        ];
        for (sent, path, query) in cases {
            assert_eq!(split_query(sent), (path.to_owned(), query.to_owned()));
        }
    }

    #[test]
    fn the_amf3_form_is_read_like_the_other() {
        let plain = result(2.0, None);
        let wrapped = [&[0][..], &plain].concat();
        let command = Command::parse(&plain, false).expect("valid");
        assert_eq!((command.name.as_str(), command.transaction, command.values.len()), ("_result", 2.0, 2));
        assert_eq!(Command::parse(&wrapped, true).expect("valid"), command);
        assert_eq!(Command::parse(&[5], false).expect_err("no name").code, "RTMP_COMMAND");
    }
}
