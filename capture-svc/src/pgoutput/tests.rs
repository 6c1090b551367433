use bytes::{BufMut, BytesMut};
use proptest::prelude::*;

use super::*;

/// Writes frames by hand, field by field, as the protocol's documentation
/// lists them.
#[derive(Default)]
struct Frame(BytesMut);

impl Frame {
    fn tag(tag: u8) -> Self {
        let mut frame = Frame::default();
        frame.0.put_u8(tag);
        frame
    }

    fn u8(mut self, value: u8) -> Self {
        self.0.put_u8(value);
        self
    }

    fn u16(mut self, value: u16) -> Self {
        self.0.put_u16(value);
        self
    }

    fn u32(mut self, value: u32) -> Self {
        self.0.put_u32(value);
        self
    }

    fn u64(mut self, value: u64) -> Self {
        self.0.put_u64(value);
        self
    }

    fn text(mut self, value: &str) -> Self {
        self.0.put_slice(value.as_bytes());
        self.0.put_u8(0);
        self
    }

    fn value(mut self, value: &str) -> Self {
        self.0.put_u8(b't');
        self.0.put_u32(u32::try_from(value.len()).unwrap());
        self.0.put_slice(value.as_bytes());
        self
    }

    fn decode(self) -> Result<Message, DecodeError> {
        decode(self.0.freeze())
    }
}

fn data(tuple: &Tuple) -> Vec<Datum<'_>> {
    tuple.iter().collect()
}

const ORDERS: RelationOid = RelationOid::new(16_400);

#[test]
fn begin_and_commit_speak_of_the_same_lsn_and_of_unix_time() {
    // GIVEN one second after midnight of 2000-01-01, in Postgres' count
    let begin = Frame::tag(b'B')
        .u64(0x16_B374_D848)
        .u64(1_000_000)
        .u32(742)
        .decode();
    let commit = Frame::tag(b'C')
        .u8(0)
        .u64(0x16_B374_D848)
        .u64(0x16_B374_D878)
        .u64(1_000_000)
        .decode();
    // THEN
    let commit_lsn = Lsn::new(0x16_B374_D848);
    let commit_ts_us = 946_684_801_000_000;
    assert_eq!(
        begin,
        Ok(Message::Begin(Begin {
            commit_lsn,
            commit_ts_us,
            xid: 742
        }))
    );
    let end_lsn = Lsn::new(0x16_B374_D878);
    assert_eq!(
        commit,
        Ok(Message::Commit(Commit {
            commit_lsn,
            end_lsn,
            commit_ts_us
        }))
    );
}

#[test]
fn a_relation_keeps_exact_names_and_says_which_identity_is_in_force() {
    for (letter, identity) in [
        (b'd', ReplicaIdentity::Default),
        (b'n', ReplicaIdentity::Nothing),
        (b'f', ReplicaIdentity::Full),
        (b'i', ReplicaIdentity::Index),
    ] {
        let message = Frame::tag(b'R')
            .u32(16_400)
            .text("Größe")
            .text("Re\"views")
            .u8(letter)
            .u16(2)
            .u8(1)
            .text("reviewId")
            .u32(23)
            .u32(u32::MAX)
            .u8(0)
            .text("stars")
            .u32(21)
            .u32(7)
            .decode();
        let column = |in_identity, name: &str, type_oid, type_modifier| RelationColumn {
            in_identity,
            name: name.to_owned(),
            type_oid,
            type_modifier,
        };
        let expected = Relation {
            oid: ORDERS,
            schema: "Größe".to_owned(),
            name: "Re\"views".to_owned(),
            identity,
            columns: vec![
                column(true, "reviewId", 23, -1),
                column(false, "stars", 21, 7),
            ],
        };
        assert_eq!(message, Ok(Message::Relation(expected)));
    }
}

#[test]
fn the_empty_schema_means_pg_catalog() {
    let message = Frame::tag(b'Y').u32(600).text("").text("point").decode();
    let expected = TypeName {
        oid: 600,
        schema: "pg_catalog".to_owned(),
        name: "point".to_owned(),
    };
    assert_eq!(message, Ok(Message::Type(expected)));
}

#[test]
fn null_unchanged_and_empty_text_are_three_things() {
    let message = Frame::tag(b'I')
        .u32(16_400)
        .u8(b'N')
        .u16(4)
        .u8(b'n')
        .u8(b'u')
        .value("")
        .value("x")
        .decode();
    let Ok(Message::Insert { relation, new }) = message else {
        panic!("{message:?}");
    };
    assert_eq!(relation, ORDERS);
    assert_eq!(new.len(), 4);
    let expected = [
        Datum::Null,
        Datum::Unchanged,
        Datum::Text(b""),
        Datum::Text(b"x"),
    ];
    assert_eq!(data(&new), expected);
}

#[test]
fn an_update_carries_no_old_row_its_key_or_all_of_it() {
    // GIVEN an update without, with K, with O
    let plain = Frame::tag(b'U')
        .u32(16_400)
        .u8(b'N')
        .u16(1)
        .value("2")
        .decode();
    let old = |tag| {
        Frame::tag(b'U')
            .u32(16_400)
            .u8(tag)
            .u16(1)
            .value("1")
            .u8(b'N')
            .u16(1)
            .value("2")
            .decode()
    };
    // THEN
    let Ok(Message::Update { old: None, new, .. }) = plain else {
        panic!("{plain:?}")
    };
    assert_eq!(data(&new), [Datum::Text(b"2")]);
    let Ok(Message::Update {
        old: Some(OldTuple::Key(key)),
        ..
    }) = old(b'K')
    else {
        panic!()
    };
    assert_eq!(data(&key), [Datum::Text(b"1")]);
    let message = old(b'O');
    let Ok(Message::Update {
        old: Some(OldTuple::Full(full)),
        new,
        ..
    }) = message
    else {
        panic!("{message:?}")
    };
    assert_eq!(data(&full), [Datum::Text(b"1")]);
    assert_eq!(data(&new), [Datum::Text(b"2")]);
}

#[test]
fn a_delete_carries_its_key_or_all_of_the_row() {
    let delete = |tag| {
        Frame::tag(b'D')
            .u32(16_400)
            .u8(tag)
            .u16(2)
            .value("1")
            .u8(b'n')
            .decode()
    };
    let Ok(Message::Delete {
        relation: ORDERS,
        old: OldTuple::Key(key),
    }) = delete(b'K')
    else {
        panic!()
    };
    assert_eq!(data(&key), [Datum::Text(b"1"), Datum::Null]);
    assert!(matches!(
        delete(b'O'),
        Ok(Message::Delete {
            old: OldTuple::Full(_),
            ..
        })
    ));
    assert!(delete(b'N').is_err());
}

#[test]
fn the_relation_count_of_a_truncate_has_32_bits() {
    // GIVEN the bytes of TRUNCATE a, b CASCADE RESTART IDENTITY
    let message = Frame::tag(b'T')
        .u32(2)
        .u8(3)
        .u32(16_400)
        .u32(16_401)
        .decode();
    // THEN
    let expected = Truncate {
        relations: vec![ORDERS, RelationOid::new(16_401)],
        cascade: true,
        restart_identity: true,
    };
    assert_eq!(message, Ok(Message::Truncate(expected)));
}

#[test]
fn a_truncate_that_claims_more_relations_than_it_holds_is_an_error() {
    assert!(
        Frame::tag(b'T')
            .u32(u32::MAX)
            .u8(0)
            .u32(1)
            .decode()
            .is_err()
    );
}

#[test]
fn origins_and_logical_messages_are_read() {
    let origin = Frame::tag(b'O').u64(5).text("other").decode();
    assert_eq!(
        origin,
        Ok(Message::Origin(Origin {
            lsn: Lsn::new(5),
            name: "other".to_owned()
        }))
    );
    let logical = Frame::tag(b'M')
        .u8(1)
        .u64(9)
        .text("app")
        .u32(2)
        .u8(b'h')
        .u8(0)
        .decode();
    let expected = Logical {
        transactional: true,
        lsn: Lsn::new(9),
        prefix: "app".to_owned(),
        content: Bytes::from_static(b"h\0"),
    };
    assert_eq!(logical, Ok(Message::Logical(expected)));
}

#[test]
fn bytes_left_over_and_bytes_missing_are_errors() {
    let frame = || Frame::tag(b'B').u64(1).u64(1).u32(1);
    assert!(frame().decode().is_ok());
    assert!(frame().u8(0).decode().is_err());
    let whole = frame().0.freeze();
    for end in 0..whole.len() {
        assert!(decode(whole.slice(..end)).is_err(), "cut at {end}");
    }
}

#[test]
fn binary_values_which_nobody_asked_for_are_an_error() {
    let message = Frame::tag(b'I')
        .u32(1)
        .u8(b'N')
        .u16(1)
        .u8(b'b')
        .u32(1)
        .u8(0)
        .decode();
    assert_eq!(
        message.unwrap_err().to_string(),
        "not a pgoutput message: unknown tag 'b' at byte 9 (value kind)"
    );
}

#[test]
fn a_tuple_shares_the_memory_of_its_frame_and_hides_its_values() {
    let frame = Frame::tag(b'I')
        .u32(1)
        .u8(b'N')
        .u16(1)
        .value("secret")
        .0
        .freeze();
    let range = frame.as_ptr_range();
    let Ok(Message::Insert { new, .. }) = decode(frame.clone()) else {
        panic!()
    };
    let Some(Datum::Text(value)) = new.iter().next() else {
        panic!()
    };
    assert!(range.contains(&value.as_ptr()));
    assert_eq!(format!("{new:?}"), "Tuple { columns: 1, bytes: 11 }");
}

/// Bytes that get past the tag: random bytes alone nearly always stop there.
fn nearly_a_message() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop::sample::select(b"BCORYIUDTM".to_vec());
    let piece = prop_oneof![
        any::<u8>().prop_map(|b| vec![b]),
        prop::sample::select(b"NKOnutb\0\x01\x02".to_vec()).prop_map(|b| vec![b]),
        (0u32..6).prop_map(|n| n.to_be_bytes().to_vec()),
        (0u16..4).prop_map(|n| n.to_be_bytes().to_vec()),
    ];
    (tag, prop::collection::vec(piece, 0..24)).prop_map(|(tag, pieces)| {
        let mut bytes = vec![tag];
        bytes.extend(pieces.into_iter().flatten());
        bytes
    })
}

fn any_value() -> impl Strategy<Value = Option<Option<String>>> {
    prop_oneof![
        Just(None),
        Just(Some(None)),
        ".{0,12}".prop_map(|text| Some(Some(text)))
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_never_panic(bytes: Vec<u8>) {
        let _ = decode(bytes.into());
    }

    #[test]
    fn nearly_right_bytes_never_panic(bytes in nearly_a_message()) {
        if let Ok(Message::Insert { new, .. }) = decode(bytes.into()) {
            prop_assert_eq!(new.iter().count(), new.len());
        }
    }

    #[test]
    fn every_row_reads_back(row in prop::collection::vec(any_value(), 0..20)) {
        // GIVEN a row of texts (Some(Some)), NULLs (Some(None)) and unchanged ones (None)
        let mut frame = Frame::tag(b'I').u32(1).u8(b'N').u16(u16::try_from(row.len()).unwrap());
        for value in &row {
            frame = match value {
                None => frame.u8(b'u'),
                Some(None) => frame.u8(b'n'),
                Some(Some(text)) => frame.value(text),
            };
        }
        // THEN
        let Ok(Message::Insert { new, .. }) = frame.decode() else { panic!() };
        let read: Vec<_> = new
            .iter()
            .map(|datum| match datum {
                Datum::Unchanged => None,
                Datum::Null => Some(None),
                Datum::Text(text) => Some(Some(String::from_utf8(text.to_vec()).unwrap())),
            })
            .collect();
        prop_assert_eq!(read, row);
    }
}
