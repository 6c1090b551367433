use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test]
async fn an_error_and_a_panic_surface_with_the_name_of_their_task() {
    // GIVEN three tasks of which two end badly
    let mut tasks = Tasks::new();
    tasks.spawn("good", async {});
    tasks.spawn("bad", async { Err::<(), _>(io::Error::other("disk")) });
    tasks.spawn("worse", async {
        let number = 7;
        assert!(number == 8, "bug {number}");
    });
    // WHEN their owner waits
    let mut failures = tasks.join_all(Duration::from_secs(10)).await;
    // THEN both are reported by name, and nothing is left
    failures.sort_by(|a, b| a.name().cmp(b.name()));
    let texts: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["bad failed", "worse panicked: bug 7"]);
    assert_eq!(failures[0].source().unwrap().to_string(), "disk");
    assert!(tasks.running().is_empty());
}

#[tokio::test]
async fn a_task_that_outlives_the_deadline_is_aborted_and_named() {
    let mut tasks = Tasks::new();
    tasks.spawn("stuck", std::future::pending::<()>());
    let failures = tasks.join_all(Duration::from_millis(1)).await;
    assert!(matches!(&failures[..], [TaskError::Cancelled { name }] if name == "stuck"));
}

struct Flag(Arc<AtomicBool>);
impl Drop for Flag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn dropping_the_owner_ends_the_task() {
    let ended = Arc::new(AtomicBool::new(false));
    let flag = Flag(Arc::clone(&ended));
    let task = spawn("held", async move {
        let _flag = flag;
        std::future::pending::<()>().await;
    });
    tokio::task::yield_now().await;
    drop(task);
    tokio::time::timeout(Duration::from_secs(10), async {
        while !ended.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the task ends");
}

#[tokio::test]
async fn a_thread_gives_its_value_or_its_panic() {
    let mut fine = thread("fine", || std::thread::current().name().map(str::to_owned)).unwrap();
    assert_eq!(fine.join().await.unwrap().as_deref(), Some("fine"));
    let mut bad = thread("bad", || -> u8 { panic!("no") }).unwrap();
    assert_eq!(
        bad.join().await.unwrap_err().to_string(),
        "bad panicked: no"
    );
}

#[tokio::test]
async fn a_blocking_call_gives_its_value_or_its_panic() {
    assert_eq!(blocking("sum", || 1 + 1).await.unwrap(), 2);
    let error = blocking("sum", || -> u8 { panic!("no") })
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "sum panicked: no");
}
