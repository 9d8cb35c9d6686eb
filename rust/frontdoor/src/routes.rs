//! Which application answers for a path, where there are several: each has the channels and locators of its own.
//!
//! A path is of a channel where it is below its preview, and of a locator by its first segment, or as the health that is asked for. What is of
//! neither, or of nobody's, is for the application that every front has.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

/// Sockets of applications by what they have: `preview/CHANNEL` or `LOCATOR`.
#[derive(Debug, Default)]
pub struct Routes(RwLock<HashMap<String, Arc<Path>>>);

impl Routes {
    /// These and no others from now on.
    pub fn replace(&self, routes: HashMap<String, Arc<Path>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = routes;
    }

    /// The socket of who answers for a path; `None`: no route leads there.
    pub fn find(&self, path: &str) -> Option<Arc<Path>> {
        let routes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if routes.is_empty() {
            return None;
        }
        let mut segments = path.strip_prefix('/')?.split('/').map(decoded);
        let (first, second) = (segments.next()?, segments.next()?);
        match &*first {
            "preview" => routes.get(&format!("preview/{}", channel(&second)?)),
            "healthz" => routes.get(&*second),
            locator => routes.get(locator),
        }
        .cloned()
    }
}

/// The channel whose preview a segment of a path is the root of: `NAME.isml`, in any case, as clients write it.
fn channel(segment: &str) -> Option<&str> {
    [".isml", ".ism"].iter().find_map(|suffix| {
        let (name, end) = segment.split_at_checked(segment.len().checked_sub(suffix.len())?)?;
        end.eq_ignore_ascii_case(suffix).then_some(name)
    })
}

/// A segment without percent signs; what is not well encoded is the name of nothing.
fn decoded(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        bytes.push(match byte {
            b'%' => match (digit(rest.next()), digit(rest.next())) {
                (Some(high), Some(low)) => (high * 16 + low) as u8,
                _ => return Cow::Borrowed(""),
            },
            other => other,
        });
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(""), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_who_has_their_channel_or_locator() {
        let routes = Routes::default();
        assert_eq!(routes.find("/show/show.ism/manifest"), None, "there is one application alone");
        let path = |name: &str| Arc::from(Path::new(name));
        routes.replace(HashMap::from([("show".into(), path("one")), ("preview/news".into(), path("two"))]));
        for (asked, socket) in [
            ("/show/show.ism/manifest", Some("one")),
            ("/sh%6Fw/show.ism/manifest", Some("one")),
            ("/show/~token/show.ism/manifest", Some("one")),
            ("/healthz/show", Some("one")),
            ("/preview/news.isml/manifest", Some("two")),
            ("/preview/news.ISM/manifest", Some("two")),
            ("/preview/n%65ws.isml/health.json", Some("two")),
            ("/preview/news.mp4/manifest", None),
            ("/preview/show.isml/manifest", None),
            ("/news/news.ism/manifest", None),
            ("/play/show", None),
            ("/play/preview/news", None),
            ("/show", None),
            ("/healthz", None),
            ("/sh%6/show.ism/manifest", None),
            ("/sh%ff/show.ism/manifest", None),
            ("/sh%", None),
            ("/", None),
            ("*", None),
        ] {
            assert_eq!(routes.find(asked).as_deref(), socket.map(Path::new), "{asked}");
        }
        routes.replace(HashMap::new());
        assert_eq!(routes.find("/show/show.ism/manifest"), None);
    }
}
