//! Responses (RFC 9112 4, RFC 9110 15): short, with a known length.

/// What the caller answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer<'a> {
    pub status: u16,
    pub reason: &'a str,
    pub content_type: &'a str,
    /// Header fields of the caller's.
    pub fields: &'a [(String, String)],
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// Appends a response. Control characters of the texts are left out; a response to HEAD keeps its body to itself.
    pub fn write(&self, out: &mut Vec<u8>, close: bool, is_head: bool) {
        let Self { status, reason, content_type, fields, body } = *self;
        let clean = |text: &str| text.chars().filter(|character| !character.is_control()).collect::<String>();
        let bare = matches!(status, 100..=199 | 204 | 304);
        let mut head = vec![format!("HTTP/1.1 {status} {}", clean(reason))];
        if !bare {
            head.push(format!("Content-Length: {}", body.len()));
        }
        if !bare && !body.is_empty() {
            head.push(format!("Content-Type: {}", clean(content_type)));
        }
        head.extend(fields.iter().map(|(name, value)| format!("{}: {}", clean(name), clean(value))));
        if close {
            head.push("Connection: close".to_owned());
        }
        out.extend_from_slice(head.join("\r\n").as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
        if !is_head && !bare {
            out.extend_from_slice(body);
        }
    }
}
