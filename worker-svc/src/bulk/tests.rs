use model::{Incarnation, Ordinal};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn version(ordinal: u64) -> DocumentVersion {
    DocumentVersion::new(Incarnation::FIRST, Ordinal::new(ordinal)).unwrap()
}

fn upsert<'a>(id: &'a str, document: &'a [u8]) -> Action<'a> {
    Action {
        id,
        version: version(7),
        document: Some(document),
    }
}

const WIDE: Bounds = Bounds {
    actions: 1000,
    bytes: 1 << 20,
};

fn all<'a>(actions: impl IntoIterator<Item = Action<'a>>, bounds: Bounds) -> Vec<Body> {
    bodies(actions, bounds).collect::<Result<_, _>>().unwrap()
}

#[test]
fn w2_every_action_carries_its_external_version() {
    let delete = Action {
        id: "8",
        version: version(9),
        document: None,
    };
    let bodies = all([upsert("7", br#"{"a":1.0}"#), delete], WIDE);
    assert_eq!(bodies.len(), 1);
    assert_eq!(bodies[0].items, 2);
    assert_eq!(
        bodies[0].bytes,
        concat!(
            r#"{"index":{"_id":"7","version":281474976710663,"version_type":"external"}}"#,
            "\n",
            r#"{"a":1.0}"#,
            "\n",
            r#"{"delete":{"_id":"8","version":281474976710665,"version_type":"external"}}"#,
            "\n",
        )
    );
}

#[test]
fn line_breaks_between_tokens_become_blanks() {
    let bodies = all([upsert("1", b"{\n\"a\":\r\n1}")], WIDE);
    let text = std::str::from_utf8(&bodies[0].bytes).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[1], "{ \"a\":  1}");
    assert_eq!(lines.len(), 2);
}

#[test]
fn an_id_that_opensearch_would_refuse_never_gets_into_a_body() {
    let long = "x".repeat(MAX_ID_BYTES + 1);
    assert_eq!(check_id(&long), Err(IdRefused { length: 513 }));
    assert_eq!(check_id(""), Err(IdRefused { length: 0 }));
    assert_eq!(check_id(&"x".repeat(MAX_ID_BYTES)), Ok(()));
    let mut bodies = bodies([upsert(&long, b"{}")], WIDE);
    assert!(bodies.next().unwrap().is_err());
    assert!(bodies.next().is_none());
}

#[test]
fn a_body_ends_at_either_bound_and_a_larger_action_goes_alone() {
    let small: &[u8] = br#"{"a":1}"#;
    let large = vec![b' '; 5000];
    let actions = [
        upsert("1", small),
        upsert("2", small),
        upsert("3", small),
        upsert("4", &large),
        upsert("5", small),
    ];
    let by_count: Vec<usize> = all(
        actions,
        Bounds {
            actions: 2,
            bytes: 1 << 20,
        },
    )
    .iter()
    .map(|b| b.items)
    .collect();
    assert_eq!(by_count, [2, 2, 1]);
    let by_bytes: Vec<usize> = all(
        actions,
        Bounds {
            actions: 1000,
            bytes: 1000,
        },
    )
    .iter()
    .map(|b| b.items)
    .collect();
    assert_eq!(by_bytes, [3, 1, 1]);
    let alone: Vec<usize> = all(
        actions,
        Bounds {
            actions: 0,
            bytes: 0,
        },
    )
    .iter()
    .map(|b| b.items)
    .collect();
    assert_eq!(alone, [1; 5]);
}

#[test]
fn a_reply_is_read_item_by_item() {
    let reply = br#"{"errors":true,"items":[
        {"index":{"result":"created","status":201}},
        {"delete":{"result":"not_found","status":404}},
        {"index":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"r","index_uuid":"u","shard":"0","index":"i"}}},
        {"index":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed","caused_by":{"type":"number_format_exception","reason":"For input"}}}}]}"#;
    let items = parse_reply(reply, 4).unwrap();
    assert_eq!(
        items[0],
        Item {
            status: 201,
            result: "created".into(),
            error: None
        }
    );
    assert_eq!(items[1].result, "not_found");
    assert_eq!(
        items[2].error.as_ref().unwrap().error_type,
        "version_conflict_engine_exception"
    );
    assert_eq!(
        items[3].error.as_ref().unwrap().full_reason(),
        "failed; caused by number_format_exception: For input"
    );
}

#[test]
fn w1_a_reply_with_another_number_of_items_is_never_paired() {
    let reply = br#"{"errors":false,"items":[{"index":{"status":200,"result":"updated"}}]}"#;
    assert!(matches!(
        parse_reply(reply, 2),
        Err(ReplyError::Count { sent: 2, got: 1 })
    ));
    assert!(matches!(
        parse_reply(b"{}", 1),
        Err(ReplyError::Count { sent: 1, got: 0 })
    ));
    assert!(parse_reply(b"", 1).is_err());
    assert!(parse_reply(br#"{"items":[{}]}"#, 1).is_err());
}

proptest! {
    #[test]
    fn any_bytes_give_a_reply_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), sent in 0usize..4) {
        let _ = parse_reply(&bytes, sent);
    }

    #[test]
    fn every_id_comes_back_as_it_was(id in "\\PC{1,60}|[\u{0}-\u{1f}\"\\\\/]{1,20}") {
        let bodies = all([upsert(&id, b"{}")], WIDE);
        let text = std::str::from_utf8(&bodies[0].bytes).unwrap();
        let action: Value = serde_json::from_str(text.split('\n').next().unwrap()).unwrap();
        prop_assert_eq!(action["index"]["_id"].as_str().unwrap(), id);
    }

    #[test]
    fn no_action_is_lost_or_doubled(lengths in prop::collection::vec(0usize..300, 0..40), actions in 0usize..9, bytes in 0usize..2000) {
        let documents: Vec<Vec<u8>> = lengths.iter().map(|length| vec![b'1'; *length]).collect();
        let ids: Vec<String> = (0..documents.len()).map(|n| n.to_string()).collect();
        let sent = documents.iter().enumerate().map(|(n, document)| upsert(&ids[n], document));
        let bodies = all(sent, Bounds { actions, bytes });
        let found: Vec<String> = bodies.iter().flat_map(|body| {
            let text = std::str::from_utf8(&body.bytes).unwrap().to_owned();
            text.lines().step_by(2).map(|line| {
                let action: Value = serde_json::from_str(line).unwrap();
                action["index"]["_id"].as_str().unwrap().to_owned()
            }).collect::<Vec<_>>()
        }).collect();
        prop_assert_eq!(found, ids);
        for body in &bodies {
            prop_assert!(body.items <= actions.max(1));
            prop_assert!(body.items == 1 || body.bytes.len() <= bytes);
        }
    }
}
