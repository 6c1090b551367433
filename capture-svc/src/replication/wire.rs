//! Bytes of the socket to protocol messages, and back.
//! Must hold: at most one unfinished message and [`READ_AHEAD`] bytes are
//! held; both directions survive a dropped future, because all state is here.

use bytes::{Buf, Bytes, BytesMut};
use postgres_protocol::message::backend::{Header, Message};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::error::{Error, ServerError, Transient};

/// One read takes up to so much: large enough that system calls do not count,
/// small enough to have many sessions.
const READ_AHEAD: usize = 64 * 1024;

/// A message of the server may be as large as Postgres' largest buffer. A
/// larger length is not the protocol.
const LARGEST_MESSAGE: usize = 1 << 30;

/// From this size on a message's buffer is not kept: one huge row must not
/// stay in memory for as long as the session lives.
const LARGE: usize = 4 * READ_AHEAD;

/// The tag and the length before the body.
const HEADER: usize = 5;

const COPY_DATA: u8 = b'd';
const COPY_BOTH_RESPONSE: u8 = b'W';

/// A message of the server.
pub(super) enum Received {
    /// The body of a `CopyData`.
    Copy(Bytes),
    /// The answer to `START_REPLICATION`: frames follow.
    CopyBoth,
    /// Anything else but errors and what a server may say at any time.
    Message(Message),
}

/// A socket with its two buffers.
pub(super) struct Wire<S> {
    stream: S,
    input: BytesMut,
    /// Written whole messages, of which a part may be gone already.
    output: BytesMut,
    /// Something was handed to the stream and may still stand in *its* buffer.
    unflushed: bool,
}

impl<S> Wire<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    pub(super) fn new(stream: S) -> Self {
        Wire {
            stream,
            input: BytesMut::with_capacity(READ_AHEAD),
            output: BytesMut::new(),
            unflushed: false,
        }
    }

    /// Where messages to be sent are appended.
    pub(super) fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// `true` when everything appended has been handed to the stream.
    pub(super) fn is_sent(&self) -> bool {
        self.output.is_empty() && !self.unflushed
    }

    /// Sends what was appended. Cancel-safe: goes on where it stopped.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        while !self.output.is_empty() {
            self.unflushed = true;
            let written = self
                .stream
                .write_buf(&mut self.output)
                .await
                .map_err(writing)?;
            if written == 0 {
                return Err(Transient::Closed { doing: "writing" }.into());
            }
        }
        if self.unflushed {
            self.stream.flush().await.map_err(writing)?;
            self.unflushed = false;
        }
        Ok(())
    }

    /// Reads once. Cancel-safe.
    pub(super) async fn fill(&mut self) -> Result<(), Error> {
        // Grows with what arrives, not with what a length claims.
        self.input.reserve(READ_AHEAD);
        let read = self
            .stream
            .read_buf(&mut self.input)
            .await
            .map_err(|source| {
                Error::from(Transient::Io {
                    doing: "reading from the server",
                    source,
                })
            })?;
        if read == 0 {
            return Err(Transient::Closed { doing: "reading" }.into());
        }
        Ok(())
    }

    /// The next message that is here in full. Skips what a server may say at
    /// any time; an error of the server is an error.
    pub(super) fn take(&mut self) -> Result<Option<Received>, Error> {
        while let Some((tag, mut whole)) = self.take_whole()? {
            match tag {
                COPY_DATA => {
                    whole.advance(HEADER);
                    return Ok(Some(Received::Copy(whole.freeze())));
                }
                COPY_BOTH_RESPONSE => return Ok(Some(Received::CopyBoth)),
                _ => {}
            }
            let Some(message) = Message::parse(&mut whole).map_err(|error| not_it(&error))? else {
                return Err(protocol("a message that is shorter than it says"));
            };
            if let Message::ErrorResponse(body) = message {
                return Err(ServerError::read(body.fields()).into());
            }
            let is_aside = matches!(
                message,
                Message::NoticeResponse(_)
                    | Message::ParameterStatus(_)
                    | Message::NotificationResponse(_)
            );
            if !is_aside {
                return Ok(Some(Received::Message(message)));
            }
        }
        Ok(None)
    }

    /// The next message, reading as needed. Cancel-safe.
    pub(super) async fn receive(&mut self) -> Result<Received, Error> {
        loop {
            if let Some(received) = self.take()? {
                return Ok(received);
            }
            self.fill().await?;
        }
    }

    /// The tag and all bytes of the next message, header included.
    fn take_whole(&mut self) -> Result<Option<(u8, BytesMut)>, Error> {
        let Some(header) = Header::parse(&self.input).map_err(|error| not_it(&error))? else {
            return Ok(None);
        };
        let length = usize::try_from(header.len())
            .ok()
            .filter(|length| *length <= LARGEST_MESSAGE)
            .ok_or_else(|| protocol("a message longer than Postgres can make"))?;
        // The length counts itself, not the tag.
        let whole = length.saturating_add(1);
        if self.input.len() < whole {
            return Ok(None);
        }
        let message = self.input.split_to(whole);
        if whole > LARGE {
            // Its memory goes with the message instead of staying our buffer.
            let mut rest = BytesMut::with_capacity(READ_AHEAD);
            rest.extend_from_slice(&self.input);
            self.input = rest;
        }
        Ok(Some((header.tag(), message)))
    }
}

fn writing(source: std::io::Error) -> Error {
    Transient::Io {
        doing: "writing to the server",
        source,
    }
    .into()
}

fn not_it(error: &std::io::Error) -> Error {
    protocol(error.to_string())
}

/// The error for what has no place in the protocol.
pub(super) fn protocol(detail: impl Into<String>) -> Error {
    Transient::Protocol(detail.into()).into()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn the_memory_of_a_huge_message_is_not_kept() {
        // GIVEN a row of 8 MB, and the start of another message behind it
        let (client, mut server) = duplex(READ_AHEAD);
        let mut wire = Wire::new(client);
        let send = async {
            server.write_all(&[COPY_DATA, 0, 0x80, 0, 4]).await.unwrap();
            server.write_all(&vec![7; 0x80_0000]).await.unwrap();
            server.write_all(&[COPY_DATA, 0, 0]).await.unwrap();
        };
        let (received, ()) = tokio::join!(wire.receive(), send);
        let Ok(Received::Copy(body)) = received else {
            panic!()
        };
        assert_eq!(body.len(), 0x80_0000);
        // WHEN it is gone
        drop(body);
        wire.input.reserve(READ_AHEAD);
        // THEN so is its memory, and nothing behind it was lost
        assert!(wire.input.capacity() <= LARGE, "{}", wire.input.capacity());
        if wire.input.len() < 3 {
            wire.fill().await.unwrap();
        }
        assert_eq!(wire.input[..], [COPY_DATA, 0, 0]);
    }
}
