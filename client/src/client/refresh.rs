//! Asking for metadata of what is known, so that it stays fresh.
//!
//! One question is under way at a time, and whoever waited for it takes what came of it. Leaves what is not known yet to
//! `search`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use highwater_model::api::{Answer, Request};
use highwater_transport::env::Instant;
use tokio::sync::{Mutex as AsyncMutex, oneshot};

use super::Client;
use crate::error::ClientError;
use crate::metadata::Image;

/// How long it is remembered when metadata of a topic came: longer than anybody asks about.
const REMEMBERED: Duration = Duration::from_secs(10);

/// What is asked, and what came of it.
#[derive(Debug)]
pub(super) struct Refreshing {
    turn: AsyncMutex<Turn>,
    heard: Mutex<Heard>,
    /// Held while an answer is merged into the image.
    merging: Mutex<()>,
    /// When everything that is known is to be asked for again, in milliseconds since the environment's origin.
    stale_at_ms: AtomicU64,
}

impl Refreshing {
    /// Everything that is known is to be asked for again at `stale_at`.
    pub(super) fn with(stale_at: Instant) -> Self {
        let stale_at_ms = AtomicU64::new(millis(stale_at));
        Self { turn: AsyncMutex::default(), heard: Mutex::default(), merging: Mutex::default(), stale_at_ms }
    }
}

/// From whom to start asking for metadata next.
#[derive(Debug, Default)]
struct Turn(usize);

/// When metadata came last, and of which topics: what came of one says nothing of another's leaders.
#[derive(Debug, Default)]
struct Heard {
    /// Of any, or of none but the brokers.
    at: Option<Instant>,
    /// Of all.
    all: Option<Instant>,
    /// Of these, whether they exist or not.
    topics: BTreeMap<String, Instant>,
    /// When nobody answered, and how that showed.
    silence: Option<(Instant, ClientError)>,
}

impl Heard {
    fn note(&mut self, topics: Option<&[String]>, now: Instant) {
        self.at = Some(now);
        match topics {
            None => self.all = Some(now),
            Some(topics) => {
                self.topics.retain(|_, at| now.since(*at) < REMEMBERED);
                self.topics.extend(topics.iter().map(|topic| (topic.clone(), now)));
            }
        }
    }

    fn of(&self, topic: &str) -> Option<Instant> {
        self.topics.get(topic).copied().max(self.all)
    }

    /// Whether an answer to this question came since `asked`, or nobody answered any.
    fn since(&self, topics: Option<&[String]>, asked: Instant) -> Option<Result<(), ClientError>> {
        let came = |at: Option<Instant>| at.is_some_and(|at| at >= asked);
        let is_answered = match topics {
            None => came(self.all),
            Some(topics) => came(self.at) && topics.iter().all(|topic| came(self.of(topic))),
        };
        if is_answered {
            return Some(Ok(()));
        }
        let silence = self.silence.as_ref().filter(|(at, _)| *at > asked);
        silence.map(|(_, error)| Err(error.clone()))
    }
}

impl Client {
    /// Asks some broker for the metadata of `topics`, or of all, and remembers the answer. A call that waited for
    /// another one's takes what that one heard: an answer to the same question, or that no broker answers.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] if no broker answers.
    pub async fn refresh(&self, topics: Option<&[String]>) -> Result<Arc<Image>, ClientError> {
        let asked = self.env().now();
        let mut turn = self.shared.refreshing.turn.lock().await;
        let heard = self.heard().since(topics, asked);
        match heard {
            Some(heard) => heard.map(|()| self.image()),
            None => Box::pin(self.ask_for_metadata(topics, &mut turn.0)).await,
        }
    }

    /// As [`Client::refresh`], but waits no longer than until `deadline`. The question goes on without whoever waits for
    /// it: one that is always given up at the same silent broker would never come to the next.
    pub(crate) async fn refresh_until(
        &self,
        topics: Vec<String>,
        deadline: Instant,
    ) -> Result<(), ClientError> {
        let (client, (reply, outcome)) = (self.clone(), oneshot::channel());
        self.env().spawn("ask for metadata", async move {
            // Nobody may wait for it any more.
            drop(reply.send(client.refresh(Some(&topics)).await.map(drop)));
        });
        match self.env().timeout_at(deadline, outcome).await {
            Ok(Ok(refreshed)) => refreshed,
            Ok(Err(_)) | Err(_) => Err(self.unreachable("none answered in time".to_owned())),
        }
    }

    /// Asks for metadata from `turn` on, whatever else is asked meanwhile.
    pub(super) async fn ask_for_metadata(
        &self,
        topics: Option<&[String]>,
        turn: &mut usize,
    ) -> Result<Arc<Image>, ClientError> {
        let request = Request::Metadata { topics: topics.map(<[String]>::to_vec) };
        let answer = match self.ask_any(&request, turn).await {
            Ok(Answer::Metadata(answer)) => answer,
            Ok(_) => {
                return Err(ClientError::UnexpectedAnswer { from: "a broker".to_owned(), what: "metadata" });
            }
            Err(error) => {
                if let ClientError::Unreachable { .. } = &error {
                    self.heard().silence = Some((self.env().now(), error.clone()));
                }
                return Err(error);
            }
        };
        let image = {
            let _one = self.shared.refreshing.merging.lock().unwrap_or_else(PoisonError::into_inner);
            let image = Arc::new(self.image().merged(&answer));
            self.shared.image.send_replace(Arc::clone(&image));
            image
        };
        self.heard().note(topics, self.env().now());
        Ok(image)
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.shared.refreshing.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether metadata of this topic came within the last `duration`, whoever asked for it.
    pub(crate) fn refreshed_within(&self, topic: &str, duration: Duration) -> bool {
        let now = self.env().now();
        self.heard().of(topic).is_some_and(|at| now.since(at) < duration)
    }

    /// Asks in the background for all topics that are known, if that is longer ago than `metadata.max.age.ms`.
    pub(crate) fn keep_fresh(&self) {
        let (now, age) = (self.env().now(), self.settings().metadata_age_max);
        let stale_at = self.shared.refreshing.stale_at_ms.load(Ordering::Relaxed);
        let claim = || {
            let next = millis(now + age);
            self.shared.refreshing.stale_at_ms.compare_exchange(
                stale_at,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            )
        };
        if millis(now) < stale_at || claim().is_err() {
            return;
        }
        let topics: Vec<String> = self.image().topic_names().map(str::to_owned).collect();
        let client = self.clone();
        self.env().spawn("keep metadata fresh", async move {
            if let Err(error) = client.refresh(Some(&topics)).await {
                tracing::debug!(%error, "metadata not refreshed");
                let soon = client.env().now() + client.settings().retry_backoff_max;
                client.shared.refreshing.stale_at_ms.store(millis(soon), Ordering::Relaxed);
            }
        });
    }
}

fn millis(at: Instant) -> u64 {
    u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::since_origin(Duration::from_millis(millis))
    }

    fn names(of: &[&str]) -> Vec<String> {
        of.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_came_of_a_topic_says_nothing_of_another() {
        let mut heard = Heard::default();
        heard.note(Some(&names(&["a"])), at(5));
        heard.note(Some(&names(&["b"])), at(9));

        assert_eq!((heard.of("a"), heard.of("b"), heard.of("c")), (Some(at(5)), Some(at(9)), None));
        assert_eq!(heard.since(Some(&names(&["b"])), at(9)), Some(Ok(())));
        assert_eq!(heard.since(Some(&names(&["a", "b"])), at(6)), None);
        assert_eq!(heard.since(Some(&[]), at(9)), Some(Ok(())), "the brokers come with any");
        assert_eq!(heard.since(None, at(5)), None);
        heard.note(None, at(12));
        assert_eq!(heard.since(Some(&names(&["a", "c"])), at(10)), Some(Ok(())));
        assert_eq!(heard.since(None, at(12)), Some(Ok(())));
    }

    #[test]
    fn that_nobody_answered_says_the_same_of_every_question_that_waited() {
        let silent = ClientError::Unreachable { servers: "a,b".to_owned(), last: "silence".to_owned() };
        let heard = Heard { silence: Some((at(9), silent.clone())), ..Heard::default() };

        assert_eq!(heard.since(Some(&names(&["a"])), at(8)), Some(Err(silent)));
        assert_eq!(heard.since(Some(&names(&["a"])), at(9)), None);
    }

    #[test]
    fn topics_that_nobody_asks_for_any_more_are_forgotten() {
        let mut heard = Heard::default();
        heard.note(Some(&names(&["a"])), at(0));
        heard.note(Some(&names(&["b"])), at(0) + REMEMBERED);

        assert_eq!(heard.topics.keys().collect::<Vec<_>>(), ["b"]);
    }
}
