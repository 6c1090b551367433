//! The stream itself.
//! Must hold: every future may be dropped at any await (cancel-safe): a frame
//! that was taken off the socket waits in `taken` until it is handed out, and
//! a report is either whole in the output buffer or not there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Buf, BufMut, Bytes};
use model::Lsn;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::{Error, Transient};
use super::wire::{Received, Wire, protocol};
use super::{Frame, Patience, ReplicationStream, Status};

/// From 1970 to 2000.
const POSTGRES_EPOCH: Duration = Duration::from_hours(262_968);

/// A ping is repeated this often before the server counts as gone: a caller
/// that did not read for long gets time to read what is waiting.
const PINGS: u32 = 2;

/// A running logical replication stream over `S`.
pub struct LogicalStream<S> {
    wire: Wire<S>,
    patience: Patience,
    /// The last status the caller gave; repeated when the server pings.
    status: Status,
    /// What has yet to be put into the output, with the wish for an answer.
    /// A later one replaces it, so nothing piles up.
    due: Option<(Status, bool)>,
    /// Taken off the socket, not yet handed out.
    taken: Option<Frame>,
    /// When the silence becomes too long.
    deadline: Instant,
    pings: u32,
}

impl<S> std::fmt::Debug for LogicalStream<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogicalStream")
            .field("status", &self.status)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

impl<S> LogicalStream<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    pub(super) fn new(wire: Wire<S>, patience: Patience) -> Self {
        LogicalStream {
            wire,
            status: Status::default(),
            due: None,
            taken: None,
            deadline: Instant::now() + patience.ping_after,
            pings: 0,
            patience,
        }
    }

    /// How long silence is borne, and how often to report.
    #[must_use]
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// Sends what is due. Cancel-safe.
    async fn send_due(&mut self) -> Result<(), Error> {
        let after = self.patience.give_up_after;
        let sending = async {
            loop {
                self.wire.flush().await?;
                let Some((status, reply)) = self.due.take() else {
                    return Ok(());
                };
                put_status(self.wire.output(), status, reply)?;
            }
        };
        timeout(after, sending).await.unwrap_or_else(|_| {
            Err(Transient::Silent {
                doing: "reporting",
                after,
            }
            .into())
        })
    }

    /// Takes the next frame that is here in full into `taken`.
    fn take(&mut self) -> Result<bool, Error> {
        let Some(received) = self.wire.take()? else {
            return Ok(false);
        };
        self.pings = 0;
        let frame = match received {
            Received::Copy(body) => frame(body)?,
            Received::Message(Message::CopyDone) => return Err(Transient::Ended.into()),
            Received::CopyBoth | Received::Message(_) => {
                return Err(protocol("an unexpected message in the stream"));
            }
        };
        if matches!(
            frame,
            Frame::Keepalive {
                reply_requested: true,
                ..
            }
        ) {
            self.due = Some((self.status, false));
        }
        self.taken = Some(frame);
        Ok(true)
    }

    /// Asks for a sign of life, or gives up.
    fn silent(&mut self) -> Result<(), Error> {
        let each = self.patience.give_up_after / PINGS;
        if self.pings == PINGS {
            let after = self.patience.ping_after + self.patience.give_up_after;
            return Err(Transient::Silent {
                doing: "streaming",
                after,
            }
            .into());
        }
        self.pings += 1;
        self.deadline = Instant::now() + each;
        self.due = Some((self.status, true));
        Ok(())
    }
}

impl<S> ReplicationStream for LogicalStream<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    async fn next(&mut self) -> Result<Frame, Error> {
        loop {
            if self.due.is_some() || !self.wire.is_sent() {
                self.send_due().await?;
            }
            if let Some(frame) = self.taken.take() {
                return Ok(frame);
            }
            if self.take()? {
                continue;
            }
            match timeout_at(self.deadline, self.wire.fill()).await {
                Ok(filled) => {
                    filled?;
                    self.deadline = Instant::now() + self.patience.ping_after;
                }
                Err(_) => self.silent()?,
            }
        }
    }

    async fn report(&mut self, status: Status) -> Result<(), Error> {
        self.status = status;
        self.due = Some((status, false));
        self.send_due().await
    }

    async fn finish(mut self, status: Status, within: Duration) -> Result<(), Error> {
        let ending = async {
            self.report(status).await?;
            frontend::copy_done(self.wire.output());
            self.wire.flush().await?;
            // Frames that were on their way, then the server's CopyDone, the
            // end of the command, and ReadyForQuery.
            loop {
                if let Received::Message(Message::ReadyForQuery(_)) = self.wire.receive().await? {
                    break;
                }
            }
            frontend::terminate(self.wire.output());
            self.wire.flush().await
        };
        timeout(within, ending).await.unwrap_or_else(|_| {
            Err(Transient::Silent {
                doing: "ending the stream",
                after: within,
            }
            .into())
        })
    }
}

/// A frame inside a `CopyData`.
fn frame(mut body: Bytes) -> Result<Frame, Error> {
    let short = |_| protocol("a frame that is too short");
    match body.try_get_u8().map_err(short)? {
        b'w' => {
            let start = Lsn::new(body.try_get_u64().map_err(short)?);
            let wal_end = Lsn::new(body.try_get_u64().map_err(short)?);
            body.try_get_i64().map_err(short)?;
            Ok(Frame::Data {
                start,
                wal_end,
                payload: body,
            })
        }
        b'k' => {
            let wal_end = Lsn::new(body.try_get_u64().map_err(short)?);
            body.try_get_i64().map_err(short)?;
            let reply_requested = body.try_get_u8().map_err(short)? == 1;
            Ok(Frame::Keepalive {
                wal_end,
                reply_requested,
            })
        }
        other => Err(protocol(format!(
            "an unknown frame {:?}",
            char::from(other)
        ))),
    }
}

/// Microseconds since 2000; zero on a machine whose clock is before that.
fn postgres_clock() -> i64 {
    let start = UNIX_EPOCH + POSTGRES_EPOCH;
    let since = SystemTime::now().duration_since(start).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(0)
}

/// A `StandbyStatusUpdate`.
fn put_status(out: &mut bytes::BytesMut, status: Status, reply: bool) -> Result<(), Error> {
    let mut body = Vec::with_capacity(34);
    body.put_u8(b'r');
    body.put_u64(status.written.as_u64());
    body.put_u64(status.flushed.as_u64());
    body.put_u64(status.applied.as_u64());
    // Only shown, as `reply_time` of `pg_stat_replication`.
    body.put_i64(postgres_clock());
    body.put_u8(u8::from(reply));
    frontend::CopyData::new(body.as_slice())
        .map_err(|error| protocol(error.to_string()))?
        .write(out);
    Ok(())
}
