//! Single documents with compare-and-set: what the registry is made of.

use bytes::Bytes;
use opensearch::http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Failure;
use super::client::{Request, Sink, segment};

/// Names one state of a document, for compare-and-set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Revision {
    /// `_seq_no`.
    #[serde(rename = "_seq_no")]
    pub seq_no: i64,
    /// `_primary_term`.
    #[serde(rename = "_primary_term")]
    pub primary_term: i64,
}

/// A document that is there.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// Its state.
    pub revision: Revision,
    /// Its JSON, as it was written.
    pub source: Box<RawValue>,
}

/// How a compare-and-set ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// It is there, in this state.
    Done(Revision),
    /// Somebody else was first; nothing was written.
    Lost,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_id")]
    id: String,
    #[serde(flatten)]
    revision: Revision,
    #[serde(rename = "_source")]
    source: serde_json::Value,
}

#[derive(Deserialize)]
struct Hits {
    hits: Inner,
}

#[derive(Deserialize)]
struct Inner {
    hits: Vec<Hit>,
}

/// Most entries [`Sink::documents`] reads: `index.max_result_window` of an index as it
/// comes. A registry holds some dozens.
const MOST_DOCUMENTS: usize = 10_000;

impl Sink {
    /// Reads a document as it is now, refreshed or not. `None` when it, or its index,
    /// is not there.
    ///
    /// # Errors
    /// No answer, or an error other than *not found*.
    pub async fn document(&self, index: &str, id: &str) -> Result<Option<Found>, Failure> {
        let request = Request {
            method: Method::Get,
            path: format!("/{}/_doc/{}", segment(index), segment(id)),
            query: &[],
            body: None,
            content_type: "application/json",
        };
        match self.call(request).await {
            Ok((body, to)) => Ok(Some(found(parse(&body, &to)?, &to)?)),
            Err(Failure::Answered { status: 404, .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Reads all documents that a search sees, at most `MOST_DOCUMENTS`. Empty when
    /// the index is not there.
    ///
    /// # Errors
    /// No answer, or an error other than *not found*.
    pub async fn documents(
        &self,
        index: &str,
        field: &str,
        value: &str,
    ) -> Result<Vec<Found>, Failure> {
        let query = serde_json::json!({
            "size": MOST_DOCUMENTS,
            "seq_no_primary_term": true,
            "query": {"term": {field: value}},
        });
        let request = Request {
            method: Method::Post,
            path: format!("/{}/_search", segment(index)),
            query: &[],
            body: Some(Bytes::from(query.to_string())),
            content_type: "application/json",
        };
        let (body, to) = match self.call(request).await {
            Ok(answer) => answer,
            Err(Failure::Answered { status: 404, .. }) => return Ok(Vec::new()),
            Err(failure) => return Err(failure),
        };
        let hits: Hits = parse(&body, &to)?;
        hits.hits
            .hits
            .into_iter()
            .map(|hit| found(hit, &to))
            .collect()
    }

    /// Writes a document that must not be there yet; searches see it at once.
    ///
    /// # Errors
    /// No answer, or an error. After [`Failure::Lost`] it may have been written.
    pub async fn create_document(
        &self,
        index: &str,
        id: &str,
        source: Bytes,
    ) -> Result<Written, Failure> {
        self.put_document(
            index,
            id,
            &[("op_type", "create"), ("refresh", "true")],
            source,
        )
        .await
    }

    /// Replaces a document that must still be in this state; searches see it at once.
    ///
    /// # Errors
    /// No answer, or an error. After [`Failure::Lost`] it may have been written.
    pub async fn replace_document(
        &self,
        index: &str,
        id: &str,
        at: Revision,
        source: Bytes,
    ) -> Result<Written, Failure> {
        let (seq_no, primary_term) = (at.seq_no.to_string(), at.primary_term.to_string());
        let query = [
            ("if_seq_no", seq_no.as_str()),
            ("if_primary_term", primary_term.as_str()),
            ("refresh", "true"),
        ];
        self.put_document(index, id, &query, source).await
    }

    async fn put_document(
        &self,
        index: &str,
        id: &str,
        query: &[(&str, &str)],
        source: Bytes,
    ) -> Result<Written, Failure> {
        let request = Request {
            method: Method::Put,
            path: format!("/{}/_doc/{}", segment(index), segment(id)),
            query,
            body: Some(source),
            content_type: "application/json",
        };
        match self.call(request).await {
            Ok((body, to)) => Ok(Written::Done(parse(&body, &to)?)),
            Err(Failure::Answered { status: 409, .. }) => Ok(Written::Lost),
            Err(failure) => Err(failure),
        }
    }
}

fn found(hit: Hit, to: &str) -> Result<Found, Failure> {
    let source =
        serde_json::value::to_raw_value(&hit.source).map_err(|error| strange(to, &error))?;
    Ok(Found {
        id: hit.id,
        revision: hit.revision,
        source,
    })
}

pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8], to: &str) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| strange(to, &error))
}

fn strange(to: &str, error: &serde_json::Error) -> Failure {
    Failure::Strange {
        to: to.to_owned(),
        reason: error.to_string(),
    }
}
