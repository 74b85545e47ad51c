use std::future::{pending, ready};

use super::*;

const TIMEOUT: Duration = Duration::from_millis(20);

fn error(kind: ErrorKind) -> RedisError {
    RedisError::from((kind, "in a test"))
}

#[test]
fn with_tls_before_the_sentinels_there_is_tls_before_the_server() {
    for (url, encrypted) in [("rediss-sentinel://:pw@one/3#shop", true), ("redis-sentinel://one#shop", false)]
    {
        let Ok(RedisUrl { kind: Kind::Sentinel { node, .. }, .. }) = url.parse() else { panic!("{url}") };
        let tls_mode = behind_sentinel(&node).expect("a server").tls_mode;
        assert_eq!(matches!(tls_mode, Some(TlsMode::Secure)), encrypted, "{url}: {tls_mode:?}");
    }
}

#[test]
fn only_what_connecting_again_may_change_is_gone() {
    use ServerErrorKind::{ClusterDown, NoPerm, ReadOnly, ResponseError};
    for gone in [ErrorKind::Io, ErrorKind::Server(ReadOnly), ErrorKind::Server(ClusterDown)] {
        assert!(matches!(Failure::of(error(gone)), Failure::Gone), "{gone:?}");
    }
    let refusals =
        [ErrorKind::Server(NoPerm), ErrorKind::Server(ResponseError), ErrorKind::UnexpectedReturnType];
    for refused in refusals {
        assert!(matches!(Failure::of(error(refused)), Failure::Refused(_)), "{refused:?}");
    }
    let parsed: RedisResult<u64> = redis::from_redis_value(Value::Okay).map_err(RedisError::from);
    assert!(matches!(Failure::of(parsed.unwrap_err()), Failure::Refused(_)));
}

#[tokio::test]
async fn a_link_has_failed_when_redis_is_gone_or_late_again_and_again() {
    let has_failed = async |health: &Health| timeout(TIMEOUT, health.failed.notified()).await.is_ok();
    let (gone, late, refused) = (Health::new(TIMEOUT), Health::new(TIMEOUT), Health::new(TIMEOUT));
    let failing = ready(Err::<(), _>(error(ErrorKind::Io)));
    assert_eq!(gone.in_time(failing).await, Err(Away));
    assert!(has_failed(&gone).await);
    for strike in 1..=STRIKES {
        assert!(!has_failed(&late).await, "before strike {strike}");
        assert_eq!(late.in_time(pending::<RedisResult<()>>()).await, Err(Away));
    }
    assert!(has_failed(&late).await);
    for _ in 0..10 {
        let refusal = error(ErrorKind::Server(ServerErrorKind::NoPerm));
        assert_eq!(refused.in_time(ready(Err::<(), _>(refusal))).await, Err(Away));
    }
    assert!(!has_failed(&refused).await);
}
