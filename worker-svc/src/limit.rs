//! How many bulk requests may be under way, as the cluster's 429s allow.
//! In: how each request ended. Out: a number between 1 and the configured most.
//! Must not: wait or send; `feed` asks before it sends.
//! Why a cool-down: requests that were under way together are refused together;
//! they are one sign of overload, not several, so only the first one counts.

/// Halves on a 429, rises by one after as many successes as are allowed at once.
#[derive(Debug, Clone)]
pub struct Limit {
    most: usize,
    allowed: usize,
    successes: usize,
    /// Number of the next request.
    next: u64,
    /// Requests numbered below this one were sent before the last cut.
    cut_at: u64,
}

/// A request that was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "tell the limit how it ended"]
pub struct Sent(u64);

impl Limit {
    /// Starts at the most; 0 counts as 1.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        Limit {
            most,
            allowed: most,
            successes: 0,
            next: 0,
            cut_at: 0,
        }
    }

    /// Requests that may be under way now: 1 to the most.
    #[must_use]
    pub fn allowed(&self) -> usize {
        self.allowed
    }

    /// A request is being sent.
    pub fn sent(&mut self) -> Sent {
        let sent = Sent(self.next);
        self.next = self.next.saturating_add(1);
        sent
    }

    /// It was answered without any sign of overload.
    pub fn succeeded(&mut self, _sent: Sent) {
        self.successes = self.successes.saturating_add(1);
        if self.successes >= self.allowed && self.allowed < self.most {
            self.allowed = self.allowed.saturating_add(1);
            self.successes = 0;
        }
    }

    /// It, or an item of it, was refused for overload.
    pub fn overloaded(&mut self, sent: Sent) {
        self.successes = 0;
        if sent.0 < self.cut_at {
            return;
        }
        self.allowed = (self.allowed / 2).max(1);
        self.cut_at = self.next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_that_were_under_way_together_count_as_one_refusal() {
        let mut limit = Limit::new(8);
        let together = [limit.sent(), limit.sent(), limit.sent()];
        for sent in together {
            limit.overloaded(sent);
        }
        assert_eq!(limit.allowed(), 4);

        let later = limit.sent();
        limit.overloaded(later);
        assert_eq!(limit.allowed(), 2);
    }

    #[test]
    fn it_rises_by_one_after_as_many_successes_as_are_allowed() {
        let mut limit = Limit::new(4);
        let refused = limit.sent();
        limit.overloaded(refused);
        assert_eq!(limit.allowed(), 2);

        let one = limit.sent();
        limit.succeeded(one);
        assert_eq!(limit.allowed(), 2);
        let two = limit.sent();
        limit.succeeded(two);
        assert_eq!(limit.allowed(), 3);
    }

    proptest! {
        #[test]
        fn it_stays_between_one_and_the_most(most in 0usize..70, ends in prop::collection::vec(any::<bool>(), 0..200)) {
            let mut limit = Limit::new(most);
            for good in ends {
                let sent = limit.sent();
                if good { limit.succeeded(sent) } else { limit.overloaded(sent) }
                prop_assert!((1..=most.max(1)).contains(&limit.allowed()));
            }
        }
    }
}
