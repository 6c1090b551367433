//! What can go wrong with Kafka, sorted by what to do about it.

use std::fmt;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The settings cannot be used.
    Settings,
    /// No broker answers. Heals when one does.
    Unreachable,
    /// A broker answers too late.
    Timeout,
    /// The broker does not accept who we are.
    Authentication,
    /// The broker knows who we are and refuses the request.
    NotAllowed,
    /// There is no such topic or partition.
    TopicMissing,
    /// The topic to be created exists.
    TopicExists,
    /// The topic's settings are refused (a replication factor above the brokers).
    TopicRefused,
    /// No record at that offset: it fell out of retention, or nothing was committed.
    OffsetOutOfRange,
    /// A commit from outside into a group that has members.
    GroupHasMembers,
    /// The partition is not this member's (any more).
    NotOwned,
    /// The metadata of a commit is longer than the broker takes.
    MetadataTooLarge,
    /// The record is larger than broker or client take.
    RecordTooLarge,
    /// The client cannot go on; make a new one.
    Fatal,
    /// Withdrawn by a purge.
    Purged,
    /// A Kafka error of no kind above that may pass.
    Passing,
    /// A Kafka error of no kind above.
    Other,
}

/// One failed request or client.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    doing: String,
    message: String,
    help: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.doing.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.doing, self.message)
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether trying again can help: the world's fault, not the set-up's.
    /// A client that is [`ErrorKind::Fatal`] has to be made anew for it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unreachable
                | ErrorKind::Timeout
                | ErrorKind::NotOwned
                | ErrorKind::Fatal
                | ErrorKind::Purged
                | ErrorKind::Passing
        )
    }

    /// One sentence for the operator, where there is one to give.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    pub(crate) fn refused(message: String, help: &str) -> Self {
        Self {
            kind: ErrorKind::Settings,
            doing: String::new(),
            message,
            help: Some(help.to_owned()),
        }
    }

    pub(crate) fn new(
        kind: ErrorKind,
        doing: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            doing: doing.into(),
            message: message.into(),
            help: help(kind).map(str::to_owned),
        }
    }

    pub(crate) fn from_code(doing: impl Into<String>, code: Code) -> Self {
        Self::new(kind_of(code), doing, code.to_string())
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum; what is not named has no meaning of its own here"
    )]
    pub(crate) fn from_kafka(doing: impl Into<String>, error: &KafkaError) -> Self {
        match error {
            KafkaError::MessageConsumptionFatal(code) => {
                Self::new(ErrorKind::Fatal, doing, code.to_string())
            }
            // Their texts can hold a property's value.
            KafkaError::ClientConfig(_, _, name, _) => Self::new(
                ErrorKind::Settings,
                doing,
                format!("librdkafka does not take the value of `{name}`"),
            ),
            KafkaError::ClientCreation(text) => Self::new(ErrorKind::Settings, doing, text.clone()),
            other => match other.rdkafka_error_code() {
                Some(code) => Self::from_code(doing, code),
                None => Self::new(ErrorKind::Other, doing, other.to_string()),
            },
        }
    }

    /// Adds what the client last said about its connections: `fetch_metadata` alone
    /// answers "timed out" to a wrong password.
    pub(crate) fn with_last_seen(mut self, seen: Option<(ErrorKind, String)>) -> Self {
        if !matches!(self.kind, ErrorKind::Unreachable | ErrorKind::Timeout) {
            return self;
        }
        if let Some((kind, text)) = seen {
            if kind == ErrorKind::Authentication {
                self.kind = kind;
                self.help = help(kind).map(str::to_owned);
            }
            self.message = text;
        }
        self
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "most kinds have no advice")]
fn help(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::Unreachable | ErrorKind::Timeout => {
            "check [broker] bootstrap_servers, that the brokers run, and that their advertised listeners can be reached from here"
        }
        ErrorKind::Authentication => {
            "check the security.* , sasl.* and ssl.* properties in [broker] kafka"
        }
        ErrorKind::NotAllowed => "give the principal the rights named in the operations guide",
        ErrorKind::TopicMissing => "create the topics: capture-svc topics",
        ErrorKind::RecordTooLarge => {
            "raise max.message.bytes of the topic and message.max.bytes in [broker] kafka"
        }
        ErrorKind::TopicRefused => {
            "check [broker] replication_factor and partitions against the brokers there are"
        }
        _ => return None,
    })
}

/// The kind of a librdkafka error code.
#[must_use]
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "unknown codes take the safe kind"
)]
pub(crate) fn kind_of(code: Code) -> ErrorKind {
    use Code as C;
    match code {
        C::BrokerTransportFailure
        | C::AllBrokersDown
        | C::Resolve
        | C::BrokerNotAvailable
        | C::NetworkException => ErrorKind::Unreachable,
        C::OperationTimedOut | C::MessageTimedOut | C::RequestTimedOut | C::TimedOutQueue => {
            ErrorKind::Timeout
        }
        C::Authentication
        | C::SaslAuthenticationFailed
        | C::SSL
        | C::UnsupportedSASLMechanism
        | C::IllegalSASLState
        | C::SecurityDisabled => ErrorKind::Authentication,
        C::TopicAuthorizationFailed
        | C::GroupAuthorizationFailed
        | C::ClusterAuthorizationFailed
        | C::TransactionalIdAuthorizationFailed
        | C::PolicyViolation => ErrorKind::NotAllowed,
        C::UnknownTopicOrPartition | C::UnknownTopic | C::UnknownPartition | C::UnknownTopicId => {
            ErrorKind::TopicMissing
        }
        C::TopicAlreadyExists => ErrorKind::TopicExists,
        C::InvalidPartitions
        | C::InvalidReplicationFactor
        | C::InvalidConfig
        | C::InvalidReplicaAssignment
        | C::InvalidTopic => ErrorKind::TopicRefused,
        C::OffsetOutOfRange | C::AutoOffsetReset | C::NoOffset => ErrorKind::OffsetOutOfRange,
        C::UnknownMemberId | C::NonEmptyGroup => ErrorKind::GroupHasMembers,
        C::State
        | C::AssignmentLost
        | C::IllegalGeneration
        | C::FencedInstanceId
        | C::StaleMemberEpoch => ErrorKind::NotOwned,
        C::OffsetMetadataTooLarge => ErrorKind::MetadataTooLarge,
        C::MessageSizeTooLarge | C::MessageBatchTooLarge | C::InvalidMessageSize => {
            ErrorKind::RecordTooLarge
        }
        C::Fatal
        | C::GaplessGuarantee
        | C::InvalidProducerEpoch
        | C::ProducerFenced
        | C::OutOfOrderSequenceNumber
        | C::UnknownProducerId => ErrorKind::Fatal,
        C::PurgeQueue | C::PurgeInflight => ErrorKind::Purged,
        C::LeaderNotAvailable
        | C::NotLeaderForPartition
        | C::CoordinatorLoadInProgress
        | C::CoordinatorNotAvailable
        | C::NotCoordinator
        | C::RebalanceInProgress
        | C::NotEnoughReplicas
        | C::NotEnoughReplicasAfterAppend
        | C::WaitingForCoordinator
        | C::Retry
        | C::InProgress
        | C::PreviousInProgress
        | C::Outdated
        | C::NotController
        | C::KafkaStorageError
        | C::FetchSessionIdNotFound
        | C::InvalidFetchSessionEpoch
        | C::FencedLeaderEpoch
        | C::UnknownLeaderEpoch
        | C::ReplicaNotAvailable
        | C::PollExceeded
        | C::QueueFull => ErrorKind::Passing,
        _ => ErrorKind::Other,
    }
}
