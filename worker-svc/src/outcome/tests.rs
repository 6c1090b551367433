use model::Ordinal;
use proptest::prelude::*;

use super::*;

fn ok(status: u16, result: &str) -> Outcome {
    of_item(&Item {
        status,
        result: result.into(),
        error: None,
    })
}

fn err(status: u16, error_type: &str, reason: &str) -> Outcome {
    let error = ErrorBody {
        error_type: error_type.into(),
        reason: Some(reason.into()),
        caused_by: None,
    };
    of_item(&Item {
        status,
        result: String::new(),
        error: Some(error),
    })
}

fn request(status: u16, body: &str) -> Verdict {
    of_request(
        &Answer {
            status,
            retry_after: None,
            body: body.as_bytes(),
        },
        1,
    )
}

fn version(incarnation: u16, ordinal: u64) -> DocumentVersion {
    DocumentVersion::new(Incarnation::new(incarnation), Ordinal::new(ordinal)).unwrap()
}

#[test]
fn a_written_document_is_applied() {
    assert_eq!(ok(201, "created"), Outcome::Applied(Applied::Created));
    assert_eq!(ok(200, "updated"), Outcome::Applied(Applied::Updated));
    assert_eq!(ok(200, "deleted"), Outcome::Applied(Applied::Deleted));
}

#[test]
fn a_delete_of_nothing_is_applied() {
    assert_eq!(
        ok(404, "not_found"),
        Outcome::Applied(Applied::NothingThere)
    );
}

#[test]
fn w1_an_item_that_does_not_say_it_was_done_is_not() {
    for (status, result) in [
        (200, ""),
        (404, ""),
        (200, "noop"),
        (404, "deleted"),
        (0, "created"),
    ] {
        assert!(
            matches!(ok(status, result), Outcome::Retry { .. }),
            "{status} {result}"
        );
    }
}

#[test]
fn w2_a_version_conflict_is_stale_and_names_the_version_that_is_there() {
    let there = version(2, 900);
    let reason = format!(
        "[a]b]: version conflict, current version [{there}] is higher or equal to the one provided [281474976710999]"
    );
    assert_eq!(
        err(409, "version_conflict_engine_exception", &reason),
        Outcome::Stale {
            current: Some(there)
        }
    );
    assert_eq!(
        err(409, "version_conflict_engine_exception", "other words"),
        Outcome::Stale { current: None }
    );
}

#[test]
fn a_conflict_is_done_unless_what_is_there_has_a_higher_incarnation() {
    let own = version(2, 1000);
    assert_eq!(
        stale_verdict(own, Some(version(2, 1000))),
        StaleVerdict::Done
    );
    assert_eq!(
        stale_verdict(own, Some(version(2, 1001))),
        StaleVerdict::Done
    );
    // Impossible as an answer, and harmless.
    assert_eq!(
        stale_verdict(own, Some(version(1, 5000))),
        StaleVerdict::Done
    );
    assert_eq!(
        stale_verdict(own, Some(version(3, 5))),
        StaleVerdict::Higher(Incarnation::new(3))
    );
    assert_eq!(stale_verdict(own, None), StaleVerdict::Unknown);
}

#[test]
fn an_index_that_is_gone_closed_or_blocked_blocks_the_feed() {
    for (status, error_type) in [
        (404, "index_not_found_exception"),
        (400, "index_closed_exception"),
        (403, "cluster_block_exception"),
        (429, "cluster_block_exception"),
        (403, "security_exception"),
    ] {
        assert!(
            matches!(err(status, error_type, "r"), Outcome::Blocked { .. }),
            "{status} {error_type}"
        );
    }
}

#[test]
fn overload_is_retried() {
    for (status, error_type) in [
        (429, "rejected_execution_exception"),
        (429, "opensearch_rejected_execution_exception"),
        (503, "unavailable_shards_exception"),
        (503, "anything"),
        (500, "i_o_exception"),
        (429, "anything"),
    ] {
        assert!(
            matches!(err(status, error_type, "r"), Outcome::Retry { .. }),
            "{status} {error_type}"
        );
    }
}

#[test]
fn the_documents_own_fault_is_refused_with_type_and_reason() {
    for error_type in [
        "mapper_parsing_exception",
        "strict_dynamic_mapping_exception",
        "illegal_argument_exception",
    ] {
        let Outcome::Refused(refusal) = err(400, error_type, "failed") else {
            panic!("{error_type}")
        };
        assert_eq!(refusal.status, Some(400));
        assert_eq!(refusal.error_type, error_type);
        assert_eq!(refusal.reason, "failed");
    }
}

#[test]
fn a_missing_pipeline_and_a_full_shard_are_not_the_documents_fault() {
    for reason in [
        "pipeline with id [p] does not exist",
        "number of documents in the index cannot exceed 2147483519",
    ] {
        assert!(
            matches!(
                err(400, "illegal_argument_exception", reason),
                Outcome::Blocked { .. }
            ),
            "{reason}"
        );
    }
}

#[test]
fn no_document_is_given_up_for_an_unknown_status() {
    for status in [401, 403, 404, 409, 418] {
        assert!(
            matches!(err(status, "new_exception", "r"), Outcome::Blocked { .. }),
            "{status}"
        );
    }
}

#[test]
fn what_quotes_a_row_stays_out_of_the_public_reason() {
    let refusal = Refusal {
        status: Some(400),
        error_type: "mapper_parsing_exception".into(),
        reason: "failed to parse field [price] of type [long] in document with id '42'. Preview of field's value: 'secret'; caused by number_format_exception: For input string: \"secret\"".into(),
    };
    assert_eq!(
        refusal.without_values(),
        "mapper_parsing_exception: failed to parse field [price] of type [long]"
    );
}

#[test]
fn a_request_refused_for_overload_is_sent_again_as_it_is() {
    let body = r#"{"error":{"type":"rejected_execution_exception","reason":"rejected execution of coordinating operation"},"status":429}"#;
    assert!(matches!(
        request(429, body),
        Verdict::RetryAll {
            overloaded: true,
            ..
        }
    ));
    let after = Some(Duration::from_secs(3));
    let answer = Answer {
        status: 429,
        retry_after: after,
        body: b"",
    };
    assert!(matches!(of_request(&answer, 1), Verdict::RetryAll { after: a, .. } if a == after));
    assert!(matches!(request(503, ""), Verdict::RetryAll { .. }));
}

#[test]
fn a_request_that_is_too_large_is_halved() {
    assert!(matches!(request(413, ""), Verdict::Halve));
}

#[test]
fn a_request_that_was_malformed_stops_the_feed() {
    let body = r#"{"error":{"type":"action_request_validation_exception","reason":"Validation Failed: 1: id is too long"},"status":400}"#;
    assert!(matches!(request(400, body), Verdict::Malformed { .. }));
}

#[test]
fn w1_when_it_is_unknown_what_was_applied_the_documents_are_built_again() {
    for status in [500, 502, 504, 302, 201] {
        assert!(
            matches!(request(status, ""), Verdict::Rebuild { .. }),
            "{status}"
        );
    }
    assert!(matches!(
        request(200, r#"{"items":[]}"#),
        Verdict::Rebuild { .. }
    ));
    assert!(matches!(request(200, "<html>"), Verdict::Rebuild { .. }));
}

#[test]
fn missing_rights_and_a_missing_index_block_the_feed() {
    let body = r#"{"error":{"type":"security_exception","reason":"no permissions for [indices:data/write/bulk]"},"status":403}"#;
    assert!(matches!(request(403, body), Verdict::Blocked { .. }));
    assert!(matches!(
        request(401, "Unauthorized"),
        Verdict::Blocked { .. }
    ));
    assert!(matches!(
        request(404, r#"{"error":"no handler","status":404}"#),
        Verdict::Blocked { .. }
    ));
    let flood = r#"{"error":{"type":"cluster_block_exception","reason":"disk"},"status":429}"#;
    assert!(matches!(request(429, flood), Verdict::Blocked { .. }));
}

proptest! {
    #[test]
    fn any_answer_gives_a_verdict(status in any::<u16>(), body in prop::collection::vec(any::<u8>(), 0..120), sent in 0usize..3) {
        let _ = of_request(&Answer { status, retry_after: None, body: &body }, sent);
    }

    #[test]
    fn w1_only_a_success_counts_as_applied(status in any::<u16>(), result in "[a-z_]{0,9}", error_type in "[a-z_]{0,20}", reason in ".{0,40}") {
        let failed = err(status, &error_type, &reason);
        prop_assert!(!matches!(failed, Outcome::Applied(_)));
        if !(200..300).contains(&status) && status != 404 {
            prop_assert!(!matches!(ok(status, &result), Outcome::Applied(_)));
        }
    }
}
