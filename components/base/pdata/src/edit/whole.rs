//! Whole messages put into a payload: a metric computed from another, a data point merged from several, an event.

use crate::schema::Label;
use crate::wire::put_len;

use super::tree::{At, Msg, NEW, REMOVED, Slot};
use super::{EditError, Editor};

impl Editor {
    /// Adds a submessage with that content at the end of a list of them. Items in it are items of the payload from now
    /// on; whoever adds them derives their stake.
    ///
    /// `content` has to be valid OTLP, as what [`crate::build`] writes or [`Editor::bytes`] gives.
    ///
    /// # Errors
    /// [`EditError::Field`] if the message has no list of such submessages; [`EditError::TooLarge`].
    pub fn append(&mut self, message: Msg, number: u32, content: &[u8]) -> Result<At, EditError> {
        let field = self.node(message.0).table.field(number).ok_or(EditError::Field)?;
        if field.label != Label::Repeated || field.kind.message().is_none() {
            return Err(EditError::Field);
        }
        let slot = self.encode_whole(number, content)?;
        let at = self.push_slot(message.0, slot);
        self.count_more(at);
        self.touch(message.0);
        Ok(at)
    }

    /// Sets a submessage that may be there once, the data of a metric for example, to that content; other members of its
    /// oneof are removed, and so is what was there. Handles of what was opened in those are no longer valid. As
    /// [`Editor::append`] for items.
    ///
    /// # Errors
    /// [`EditError::Field`] if the message has no such submessage, or a list of them; [`EditError::TooLarge`].
    pub fn set_whole(&mut self, message: Msg, number: u32, content: &[u8]) -> Result<At, EditError> {
        let field = self.node(message.0).table.field(number).ok_or(EditError::Field)?;
        if field.label == Label::Repeated || field.kind.message().is_none() {
            return Err(EditError::Field);
        }
        let slot = self.encode_whole(number, content)?;
        self.clear(message, number);
        self.clear_others(message, field);
        let at = self.push_slot(message.0, slot);
        self.count_more(at);
        self.touch(message.0);
        Ok(at)
    }

    /// Replaces the content of a submessage; handles of what was opened in it are no longer valid. As
    /// [`Editor::append`] for items. Says nothing where the submessage was removed.
    ///
    /// # Errors
    /// [`EditError::Field`] if it is no submessage; [`EditError::TooLarge`].
    pub fn replace_whole(&mut self, at: At, content: &[u8]) -> Result<(), EditError> {
        let old = *self.slot(at);
        if old.state & REMOVED != 0 {
            return Ok(());
        }
        let number = u32::from(old.number);
        let field = self.node(at.node).table.field(number).ok_or(EditError::Field)?;
        if field.kind.message().is_none() {
            return Err(EditError::Field);
        }
        let slot = self.encode_whole(number, content)?;
        let lost = self.items_at(at);
        let segment = self.node(at.node).segment as usize;
        if let Some(items) = self.items.get_mut(segment) {
            *items = items.saturating_sub(lost);
        }
        *self.slot_mut(at) = slot;
        self.count_more(at);
        self.touch(at.node);
        Ok(())
    }

    fn encode_whole(&mut self, number: u32, content: &[u8]) -> Result<Slot, EditError> {
        self.room(content.len() + 16)?;
        let start = self.store.arena.len();
        put_len(&mut self.store.arena, number, content);
        let len = self.store.arena.len() - start;
        let header = (len - content.len()) as u8;
        Ok(Slot { start: start as u32, len: len as u32, print: 0, number: number as u8, header, state: NEW })
    }

    /// Counts the items of a submessage that was just put in.
    fn count_more(&mut self, at: At) {
        let more = self.items_at(at);
        let segment = self.node(at.node).segment as usize;
        if let Some(items) = self.items.get_mut(segment) {
            *items += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::build::PayloadBuilder;
    use crate::edit::{Editor, Level, Walk};
    use crate::{Payload, Signal};

    /// Metrics named by the letters, each a gauge of so many points.
    fn metrics(named: &[(&str, usize)]) -> Payload {
        use crate::build::{MetricFields, NumberFields};
        use crate::view::Number;
        let mut builder = PayloadBuilder::metrics();
        builder.bare(|items| {
            for (name, points) in named {
                items.gauge(&MetricFields { name, ..MetricFields::default() }, |data| {
                    for point in 0..*points {
                        let value = Number::Int(point as i64);
                        data.point(&NumberFields { value: Some(value), ..NumberFields::default() }, |_| {});
                    }
                });
            }
        });
        builder.finish(None)
    }

    fn names(payload: &Payload) -> Vec<String> {
        let mut editor = Editor::new(payload.clone()).unwrap();
        let mut walk = Walk::new(&editor, Level::Metrics);
        let mut names = Vec::new();
        while let Some(place) = walk.next(&mut editor) {
            let metric = editor.open(place.at()).unwrap();
            names.push(format!("{} {}", editor.text(metric, 1), editor.items_at(place.at())));
        }
        names
    }

    #[test]
    fn metrics_added_and_replaced_are_counted_and_visited() {
        let payload = metrics(&[("a", 2), ("b", 3)]);
        let mut editor = Editor::new(payload).unwrap();
        let mut walk = Walk::new(&editor, Level::Metrics);
        let first = walk.next(&mut editor).unwrap();
        let copy = editor.bytes(first.at()).to_vec();
        let scope = first.scope_group().unwrap();
        editor.append(scope, 2, &copy).unwrap();
        assert_eq!(editor.items(), 7);
        let second = walk.next(&mut editor).unwrap();
        editor.open(second.at()).unwrap();
        editor.replace_whole(second.at(), &copy).unwrap();
        assert_eq!(editor.items(), 6);
        let metric = editor.open(second.at()).unwrap();
        editor.set(metric, 1, crate::edit::Scalar::Str("c")).unwrap();
        let third = walk.next(&mut editor).expect("what was added is visited");
        assert_eq!(editor.items_at(third.at()), 2);
        assert!(walk.next(&mut editor).is_none());
        let sealed = editor.seal();
        assert_eq!((sealed.items(), names(&sealed)), (6, ["a 2", "c 2", "a 2"].map(String::from).to_vec()));
        let mut body = sealed.to_bytes().to_vec();
        let validated = crate::validate::validate(Signal::Metrics, &mut body, crate::Utf8Policy::Refuse).unwrap();
        assert_eq!(validated.items, 6);
    }

    #[test]
    fn data_of_another_kind_takes_the_place_of_what_was_there() {
        let mut editor = Editor::new(metrics(&[("a", 2), ("b", 3)])).unwrap();
        let mut walk = Walk::new(&editor, Level::Metrics);
        let (mut kinds, points) = (Vec::new(), [3, 0]);
        while let Some(place) = walk.next(&mut editor) {
            let metric = editor.open(place.at()).unwrap();
            assert_eq!(editor.at(metric), Some(place.at()));
            let gauge = editor.first(metric, 5).unwrap();
            let content = [0x0a, 0].repeat(points[kinds.len()]);
            let at = editor.set_whole(metric, 7, &content).unwrap();
            assert_eq!(editor.open(gauge), None, "the other member of the oneof is gone");
            kinds.push(editor.items_at(at));
            assert!(editor.set_whole(metric, 1, b"x").is_err() && editor.set_whole(metric, 12, b"").is_err());
        }
        assert_eq!((kinds, editor.items()), (vec![3, 0], 3));
        let sealed = editor.seal();
        assert_eq!((sealed.items(), names(&sealed)), (3, ["a 3", "b 0"].map(String::from).to_vec()));
        let mut body = sealed.to_bytes().to_vec();
        let validated = crate::validate::validate(Signal::Metrics, &mut body, crate::Utf8Policy::Refuse).unwrap();
        assert_eq!(validated.items, 3);
    }

    #[test]
    fn growth_counts_what_was_added() {
        let mut editor = Editor::new(metrics(&[("a", 1), ("b", 1)])).unwrap();
        let mut walk = Walk::new(&editor, Level::Metrics);
        let scope = walk.next(&mut editor).unwrap().scope_group().unwrap();
        assert_eq!(editor.growth(scope), (3, 0), "the scope and two metrics");
        for _ in 0..3 {
            editor.append(scope, 2, b"").unwrap();
        }
        assert_eq!(editor.growth(scope), (3, 3));
    }

    #[test]
    fn only_lists_of_messages_take_more() {
        let mut editor = Editor::new(metrics(&[("a", 1)])).unwrap();
        let mut walk = Walk::new(&editor, Level::Metrics);
        let place = walk.next(&mut editor).unwrap();
        let metric = editor.open(place.at()).unwrap();
        assert!(editor.append(metric, 1, b"x").is_err(), "a string");
        assert!(editor.append(metric, 5, b"").is_err(), "not a list");
        let name = editor.first(metric, 1).unwrap();
        assert!(editor.replace_whole(name, b"x").is_err());
    }
}
