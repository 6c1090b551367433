//! The cluster, its indexes and their aliases.

use std::collections::BTreeMap;

use bytes::Bytes;
use opensearch::http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Failure;
use super::client::{Request, Sink, segment};
use super::documents::parse;

/// What a cluster says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterInfo {
    /// The cluster's name.
    pub cluster: String,
    /// Its uuid.
    pub uuid: String,
    /// `opensearch`; empty for what is not.
    pub distribution: String,
    /// Its version, e.g. `2.19.1`.
    pub version: String,
}

/// An index that is there.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexInfo {
    /// The aliases that point to it.
    pub aliases: Vec<String>,
    /// Its mapping.
    pub mappings: Value,
    /// Its settings, flat: `index.refresh_interval`.
    pub settings: Map<String, Value>,
}

/// How making an index ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Made {
    /// It was made now.
    New,
    /// An index of that name was there already.
    Existed,
}

/// One part of an atomic change of aliases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AliasChange {
    /// Points the alias to the index.
    Add {
        /// The index.
        index: String,
        /// The alias.
        alias: String,
    },
    /// Takes the alias from the index; refused as a whole when it is not there.
    Remove {
        /// The index.
        index: String,
        /// The alias.
        alias: String,
    },
}

impl Sink {
    /// Asks a node who it is.
    ///
    /// # Errors
    /// No answer, an error, or an answer that is not OpenSearch's.
    pub async fn info(&self) -> Result<ClusterInfo, Failure> {
        #[derive(Deserialize)]
        struct Root {
            cluster_name: String,
            #[serde(default)]
            cluster_uuid: String,
            version: Version,
        }
        #[derive(Deserialize)]
        struct Version {
            #[serde(default)]
            distribution: String,
            number: String,
        }
        let (body, to) = self
            .call(request(Method::Get, String::from("/"), &[], None))
            .await?;
        let root: Root = parse(&body, &to)?;
        Ok(ClusterInfo {
            cluster: root.cluster_name,
            uuid: root.cluster_uuid,
            distribution: root.version.distribution,
            version: root.version.number,
        })
    }

    /// Makes an index from `{"settings": …, "mappings": …}`.
    ///
    /// # Errors
    /// No answer, or an error other than *is there already*.
    pub async fn create_index(&self, index: &str, body: &Value) -> Result<Made, Failure> {
        let path = format!("/{}", segment(index));
        match self.call(request(Method::Put, path, &[], Some(body))).await {
            Ok(_) => Ok(Made::New),
            Err(failure) if failure.error_type() == Some("resource_already_exists_exception") => {
                Ok(Made::Existed)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Reads an index; `None` when no index has exactly that name. An alias of that
    /// name is not an index.
    ///
    /// # Errors
    /// No answer, or an error other than *not found*.
    pub async fn index(&self, index: &str) -> Result<Option<IndexInfo>, Failure> {
        #[derive(Deserialize)]
        struct Entry {
            #[serde(default)]
            aliases: BTreeMap<String, Value>,
            #[serde(default)]
            mappings: Value,
            #[serde(default)]
            settings: Map<String, Value>,
        }
        let path = format!("/{}", segment(index));
        let query = [("flat_settings", "true"), ("expand_wildcards", "all")];
        let (body, to) = match self.call(request(Method::Get, path, &query, None)).await {
            Ok(answer) => answer,
            Err(Failure::Answered { status: 404, .. }) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let mut entries: BTreeMap<String, Entry> = parse(&body, &to)?;
        Ok(entries.remove(index).map(|entry| IndexInfo {
            aliases: entry.aliases.into_keys().collect(),
            mappings: entry.mappings,
            settings: entry.settings,
        }))
    }

    /// The `_meta` of an index's mapping, null when it has none; `None` when no index has
    /// exactly that name.
    ///
    /// # Errors
    /// No answer, or an error other than *not found*.
    pub async fn index_meta(&self, index: &str) -> Result<Option<Value>, Failure> {
        let path = format!("/{}", segment(index));
        // The name alone proves that the index is there: without a match the filter leaves
        // nothing of it.
        let query = [
            ("filter_path", "*.mappings._meta,*.settings.index.uuid"),
            ("expand_wildcards", "all"),
        ];
        let (body, to) = match self.call(request(Method::Get, path, &query, None)).await {
            Ok(answer) => answer,
            Err(Failure::Answered { status: 404, .. }) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let mut entries: BTreeMap<String, Value> = parse(&body, &to)?;
        let entry = entries.remove(index);
        Ok(entry.map(|entry| {
            entry
                .pointer("/mappings/_meta")
                .cloned()
                .unwrap_or(Value::Null)
        }))
    }

    /// Whether a write to a missing index makes it, as far as the cluster says.
    ///
    /// # Errors
    /// No answer, or an error.
    pub async fn creates_by_writing(&self) -> Result<bool, Failure> {
        let path = String::from("/_cluster/settings");
        let query = [
            ("include_defaults", "true"),
            // Not with flat_settings: the filter does not match flattened names.
            ("filter_path", "*.action.auto_create_index"),
        ];
        let (body, to) = self.call(request(Method::Get, path, &query, None)).await?;
        let found: BTreeMap<String, Value> = parse(&body, &to)?;
        let value = ["transient", "persistent", "defaults"]
            .iter()
            .find_map(|kind| {
                found
                    .get(*kind)?
                    .pointer("/action/auto_create_index")?
                    .as_str()
            });
        Ok(value != Some("false"))
    }

    /// The names of the indexes that match a pattern with `*`, hidden and closed ones too.
    ///
    /// # Errors
    /// No answer, or an error.
    pub async fn index_names(&self, pattern: &str) -> Result<Vec<String>, Failure> {
        #[derive(Deserialize)]
        struct Row {
            index: String,
        }
        // The pattern's `*` must stand unescaped.
        let path = format!("/_cat/indices/{}", segment(pattern).replace("%2A", "*"));
        let query = [
            ("format", "json"),
            ("h", "index"),
            ("expand_wildcards", "all"),
        ];
        let (body, to) = self.call(request(Method::Get, path, &query, None)).await?;
        Ok(parse::<Vec<Row>>(&body, &to)?
            .into_iter()
            .map(|row| row.index)
            .collect())
    }

    /// Removes an index. One that is not there counts as removed.
    ///
    /// # Errors
    /// No answer, or another error.
    pub async fn delete_index(&self, index: &str) -> Result<(), Failure> {
        match self
            .call(request(
                Method::Delete,
                format!("/{}", segment(index)),
                &[],
                None,
            ))
            .await
        {
            Ok(_) | Err(Failure::Answered { status: 404, .. }) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Changes settings of a living index.
    ///
    /// # Errors
    /// No answer, or an error.
    pub async fn put_settings(&self, index: &str, settings: &Value) -> Result<(), Failure> {
        let path = format!("/{}/_settings", segment(index));
        self.call(request(Method::Put, path, &[], Some(settings)))
            .await
            .map(drop)
    }

    /// Adds to the mapping of a living index.
    ///
    /// # Errors
    /// No answer, or an error.
    pub async fn put_mapping(&self, index: &str, mapping: &Value) -> Result<(), Failure> {
        let path = format!("/{}/_mapping", segment(index));
        self.call(request(Method::Put, path, &[], Some(mapping)))
            .await
            .map(drop)
    }

    /// Makes everything written so far searchable.
    ///
    /// # Errors
    /// No answer, or an error.
    pub async fn refresh(&self, index: &str) -> Result<(), Failure> {
        let path = format!("/{}/_refresh", segment(index));
        self.call(request(Method::Post, path, &[], None))
            .await
            .map(drop)
    }

    /// Writes everything through to the segments.
    ///
    /// # Errors
    /// No answer, or an error.
    pub async fn flush(&self, index: &str) -> Result<(), Failure> {
        let path = format!("/{}/_flush", segment(index));
        self.call(request(Method::Post, path, &[], None))
            .await
            .map(drop)
    }

    /// The indexes an alias points to; empty when there is no such alias.
    ///
    /// # Errors
    /// No answer, or an error other than *not found*.
    pub async fn alias(&self, alias: &str) -> Result<Vec<String>, Failure> {
        let path = format!("/_alias/{}", segment(alias));
        match self.call(request(Method::Get, path, &[], None)).await {
            Ok((body, to)) => Ok(parse::<BTreeMap<String, Value>>(&body, &to)?
                .into_keys()
                .collect()),
            Err(Failure::Answered { status: 404, .. }) => Ok(Vec::new()),
            Err(failure) => Err(failure),
        }
    }

    /// Changes aliases in one step: all of it or nothing (R1).
    ///
    /// # Errors
    /// No answer, or an error; 404 when an alias to be removed is not where it was
    /// thought to be.
    pub async fn change_aliases(&self, changes: &[AliasChange]) -> Result<(), Failure> {
        let actions: Vec<Value> = changes
            .iter()
            .map(|change| match change {
                AliasChange::Add { index, alias } => {
                    json!({"add": {"index": index, "alias": alias}})
                }
                AliasChange::Remove { index, alias } => {
                    json!({"remove": {"index": index, "alias": alias, "must_exist": true}})
                }
            })
            .collect();
        let body = json!({ "actions": actions });
        self.call(request(
            Method::Post,
            String::from("/_aliases"),
            &[],
            Some(&body),
        ))
        .await
        .map(drop)
    }

    /// How many documents a search in the index sees.
    ///
    /// # Errors
    /// No answer, or an error.
    pub async fn count(&self, index: &str) -> Result<u64, Failure> {
        #[derive(Deserialize)]
        struct Count {
            count: u64,
        }
        let path = format!("/{}/_count", segment(index));
        let (body, to) = self.call(request(Method::Get, path, &[], None)).await?;
        Ok(parse::<Count>(&body, &to)?.count)
    }

    /// Whether an ingest pipeline is there.
    ///
    /// # Errors
    /// No answer, or an error other than *not found*.
    pub async fn has_pipeline(&self, pipeline: &str) -> Result<bool, Failure> {
        let path = format!("/_ingest/pipeline/{}", segment(pipeline));
        match self.call(request(Method::Get, path, &[], None)).await {
            Ok(_) => Ok(true),
            Err(Failure::Answered { status: 404, .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// What an address says that lacks one of the names which `text_analysis = "icu"` uses;
    /// `None` when all have them. Without an index, a node answers for itself, so every
    /// address is asked once; nodes behind one address show when the index is made.
    /// Not by the list of plugins: what gives these names may be called anything.
    ///
    /// # Errors
    /// No answer, or an error other than *not found under this name*.
    pub async fn lacks_icu(&self) -> Result<Option<String>, Failure> {
        let analyze = json!({
            "tokenizer": "icu_tokenizer",
            "filter": ["icu_normalizer", "icu_folding"],
            "text": "",
        });
        for _address in self.addresses() {
            let path = String::from("/_analyze");
            let asked = self
                .call(request(Method::Post, path, &[], Some(&analyze)))
                .await;
            match asked {
                Ok(_) => {}
                Err(Failure::Answered {
                    status: 400,
                    reason,
                    ..
                }) => return Ok(Some(reason)),
                Err(failure) => return Err(failure),
            }
        }
        Ok(None)
    }
}

fn request<'a>(
    method: Method,
    path: String,
    query: &'a [(&'a str, &'a str)],
    body: Option<&Value>,
) -> Request<'a> {
    Request {
        method,
        path,
        query,
        body: body.map(|body| Bytes::from(body.to_string())),
        content_type: "application/json",
    }
}
