use super::*;

const OWNER: &str = "owner@example.org";
const MINUTE: u64 = 60 * 1000;

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

/// Lets as many attempts through as it will, one each millisecond.
fn guesses(throttle: &Throttle, from: u64, count: u64, address: impl Fn(u64) -> String) -> usize {
    (0..count)
        .filter(|i| {
            let address = ip(&address(*i));
            throttle.begin_at(from + i, OWNER, address, false).is_ok()
        })
        .count()
}

#[test]
fn guesses_from_one_address_are_stopped_and_the_owner_elsewhere_is_not() {
    let throttle = Throttle::default();
    let passed = guesses(&throttle, 0, 1000, |_| "203.0.113.9".into());
    assert_eq!(passed, FREE as usize);
    // At home, and from somewhere new.
    assert!(
        throttle
            .begin_at(1000, OWNER, ip("192.0.2.1"), true)
            .is_ok()
    );
    assert!(
        throttle
            .begin_at(1000, OWNER, ip("192.0.2.77"), false)
            .is_ok()
    );
    // The attacker comes back later, and waits longer each time.
    let refusal = throttle.begin_at(1001, OWNER, ip("203.0.113.9"), false);
    assert!(refusal.unwrap_err().retry_after <= Duration::from_secs(1));
    let hour = guesses(&throttle, 2000, 60 * MINUTE, |_| "203.0.113.9".into());
    assert!(hour <= 25, "{hour} guesses within an hour");
}

#[test]
fn guesses_from_many_addresses_are_stopped_and_the_owner_at_home_is_not() {
    let throttle = Throttle::default();
    let passed = guesses(&throttle, 0, 1000, |i| {
        format!("203.0.{}.{}", i / 250, i % 250)
    });
    assert_eq!(passed, ACCOUNT_FREE as usize);
    assert!(
        throttle
            .begin_at(2000, OWNER, ip("192.0.2.1"), true)
            .is_ok()
    );
    // An IPv6 network is one address.
    let throttle = Throttle::default();
    let passed = guesses(&throttle, 0, 1000, |i| format!("2001:db8::{i:x}"));
    assert_eq!(passed, FREE as usize);
}

#[test]
fn a_large_ipv6_network_does_not_keep_the_owner_from_signing_in_somewhere_new() {
    let throttle = Throttle::default();
    let passed = guesses(&throttle, 0, 1000, |i| format!("2001:db8:0:{i:x}::1"));
    assert_eq!(passed, SITE_FREE as usize);
    for elsewhere in ["2001:db8:1::1", "192.0.2.77"] {
        let attempt = throttle.begin_at(1000, OWNER, ip(elsewhere), false);
        assert!(attempt.is_ok(), "{elsewhere}");
    }
}

#[test]
fn an_address_cannot_try_one_account_after_the_other() {
    let throttle = Throttle::default();
    let passed = (0..1000)
        .filter(|i| {
            let account = format!("user{i}@example.org");
            throttle
                .begin_at(*i, &account, ip("203.0.113.9"), false)
                .is_ok()
        })
        .count();
    assert_eq!(passed, FREE as usize);
}

#[test]
fn a_good_sign_in_costs_nothing_and_pardons_no_guess() {
    let throttle = Throttle::default();
    let address = ip("203.0.113.9");
    for i in 0..1000 {
        let attempt = throttle.begin_at(i, OWNER, address, false);
        attempt.expect("good sign-ins are not counted").forgiven();
    }
    // A guess for each good sign-in to an account of the attacker's own, which begins before it.
    let throttle = Throttle::default();
    let guessed = (0..1000)
        .filter(|i| {
            let own = throttle.begin_at(*i, "mallory@example.org", address, false);
            let guess = throttle.begin_at(*i, OWNER, address, false);
            if let Ok(own) = own {
                own.forgiven();
            }
            guess.is_ok()
        })
        .count();
    assert!(guessed <= FREE as usize, "{guessed}");
}

#[test]
fn failures_are_forgiven_with_time() {
    let throttle = Throttle::default();
    assert_eq!(guesses(&throttle, 0, 100, |_| "203.0.113.9".into()), 10);
    let later = 10 * FORGIVEN_MS + MINUTE;
    let passed = guesses(&throttle, later, 100, |_| "203.0.113.9".into());
    assert_eq!(passed, 10);
}

#[test]
fn good_sign_ins_do_not_keep_failures_from_being_forgiven() {
    let throttle = Throttle::default();
    let address = ip("203.0.113.9");
    assert_eq!(guesses(&throttle, 0, 5, |_| "203.0.113.9".into()), 5);
    for minute in 1..=30 {
        let attempt = throttle.begin_at(minute * MINUTE, OWNER, address, false);
        attempt.unwrap().forgiven();
    }
    assert_eq!(
        guesses(&throttle, 30 * MINUTE, 100, |_| "203.0.113.9".into()),
        10
    );
}

#[test]
fn a_refusal_is_news_now_and_then() {
    let throttle = Throttle::default();
    let address = ip("203.0.113.9");
    let mut news = 0;
    for i in 0..10_000 {
        if let Err(refusal) = throttle.begin_at(i, OWNER, address, false) {
            news += u32::from(refusal.is_news);
        }
    }
    assert_eq!(news, 1);
}
