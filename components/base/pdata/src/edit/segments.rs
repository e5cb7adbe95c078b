//! Whole segments written anew by the caller, in one pass over their bytes: for edits that look at everything.

use smallvec::SmallVec;

use crate::payload::Segment;

use super::{EditError, Editor, SEGMENT_BYTES_MAX};

/// A segment as it is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// A serialized request. It has to be valid OTLP; a segment whose body is empty goes.
    pub body: Vec<u8>,
    /// Spans, data points or log records in it. Whoever leaves some out settles them.
    pub items: u32,
}

impl Editor {
    /// Calls `rewrite` with the serialized request of each segment, as edits have left it, and puts what it returns in
    /// its place; `None` leaves it as it is. Whether anything changed. Handles of what was opened before are no longer
    /// valid, whatever is returned.
    ///
    /// # Errors
    /// [`EditError::TooLarge`]; nothing is rewritten then.
    pub fn rewrite_segments(&mut self, mut rewrite: impl FnMut(&[u8]) -> Option<Rewritten>) -> Result<bool, EditError> {
        self.encode_changed();
        let mut rewritten = SmallVec::<[Option<Rewritten>; 1]>::new();
        for segment in &self.store.segments {
            let new = rewrite(segment.bytes());
            if new.as_ref().is_some_and(|new| new.body.len() > SEGMENT_BYTES_MAX) {
                return Err(EditError::TooLarge);
            }
            rewritten.push(new);
        }
        if rewritten.iter().all(Option::is_none) {
            return Ok(false);
        }
        let segments = std::mem::take(&mut self.store.segments).into_iter().zip(rewritten);
        let segments = segments.filter_map(|(segment, new)| match new {
            None => Some(segment),
            Some(new) if new.body.is_empty() => None,
            Some(new) => Some(Segment::charged(new.body, new.items, segment.account())),
        });
        self.begin_anew(segments.collect());
        self.changes += 1;
        Ok(true)
    }

    /// Encodes what was edited so far, so that every segment is its bytes.
    fn encode_changed(&mut self) {
        if !self.nodes.iter().take(self.items.len()).any(|root| root.changed) {
            return;
        }
        let segments = (0..self.items.len()).filter_map(|number| self.sealed_segment(number)).collect();
        self.begin_anew(segments);
    }

    fn begin_anew(&mut self, segments: SmallVec<[Segment; 1]>) {
        self.items = segments.iter().map(Segment::items).collect();
        self.store.segments = segments;
        self.store.arena.clear();
        self.list_requests();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::{LogFields, PayloadBuilder};
    use crate::edit::{Level, Scalar, Walk};
    use crate::{Payload, Signal};

    fn logs(texts: &[&str]) -> Payload {
        let mut builder = PayloadBuilder::logs();
        builder.bare(|items| {
            for severity_text in texts {
                items.record(&LogFields { severity_text, ..LogFields::default() }, |_| {});
            }
        });
        builder.finish(None)
    }

    fn texts(payload: &Payload) -> Vec<String> {
        let mut texts = Vec::new();
        payload.for_each_item(|item| {
            if let crate::view::ItemView::LogRecord(log) = item.view {
                texts.push(log.severity_text().to_owned());
            }
        });
        texts
    }

    fn two_segments() -> Payload {
        let mut payload = logs(&["a", "b"]);
        payload.append(logs(&["c"]));
        payload
    }

    #[test]
    fn segments_are_replaced_one_by_one() {
        let mut editor = Editor::new(two_segments()).unwrap();
        let other = logs(&["x", "y", "z"]);
        let body = other.to_bytes().to_vec();
        let mut seen = 0;
        let is_changed = editor.rewrite_segments(|_| {
            seen += 1;
            (seen == 2).then(|| Rewritten { body: body.clone(), items: 3 })
        });
        assert_eq!((is_changed, editor.is_changed(), editor.items()), (Ok(true), true, 5));
        // What comes later edits the new ones.
        let mut walk = Walk::items(&editor);
        while let Some(place) = walk.next(&mut editor) {
            let item = editor.open(place.at()).unwrap();
            let text = editor.text(item, 3).to_owned() + "!";
            editor.set(item, 3, Scalar::Str(&text)).unwrap();
        }
        let sealed = editor.seal();
        assert_eq!((sealed.items(), texts(&sealed)), (5, ["a!", "b!", "x!", "y!", "z!"].map(String::from).to_vec()));
    }

    #[test]
    fn what_was_edited_before_is_seen() {
        let mut editor = Editor::new(two_segments()).unwrap();
        let mut walk = Walk::new(&editor, Level::Items);
        let first = walk.next(&mut editor).unwrap();
        let item = editor.open(first.at()).unwrap();
        editor.set(item, 3, Scalar::Str("new")).unwrap();
        while let Some(place) = walk.next(&mut editor) {
            editor.remove(place.at());
        }
        let mut seen = Vec::new();
        let is_changed = editor.rewrite_segments(|body| {
            seen.push(body.to_vec());
            None
        });
        assert_eq!((is_changed, editor.is_changed(), editor.items()), (Ok(false), true, 1));
        assert_eq!(seen, [logs(&["new"]).to_bytes().to_vec()], "the segment of which nothing is left is gone");
        assert_eq!(texts(&editor.seal()), ["new"]);
    }

    #[test]
    fn unchanged_segments_leave_as_they_came_and_empty_ones_go() {
        let payload = two_segments();
        let mut editor = Editor::new(payload.clone()).unwrap();
        assert_eq!(editor.rewrite_segments(|_| None), Ok(false));
        let first = payload.segments()[0].bytes().clone();
        editor.rewrite_segments(|body| (*body != *first).then(Rewritten::default)).unwrap();
        let sealed = editor.seal();
        assert_eq!((sealed.items(), sealed.segments().len()), (2, 1));
        assert_eq!(sealed.segments()[0].bytes().as_ptr(), first.as_ptr());
        assert_eq!(sealed.signal(), Signal::Logs);
    }
}
