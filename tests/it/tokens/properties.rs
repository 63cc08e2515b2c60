//! Whatever comes in: no panic, and nobody is let in.

use proptest::prelude::*;

use super::*;

pub(super) fn run(authenticator: &Authenticator, token: &str) -> Result<Arc<Caller>, Error> {
    // Keys from a file: there is nothing to wait for.
    let mut work = std::pin::pin!(authenticator.authenticate(token));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match work.as_mut().poll(&mut context) {
        std::task::Poll::Ready(answer) => answer,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

pub(super) static AUTHENTICATOR: LazyLock<Authenticator> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(authenticator(&held()))
});
static GOOD: LazyLock<String> = LazyLock::new(|| token(&payload()));

proptest! {
    #[test]
    fn text_is_not_a_token(text in ".{0,200}") {
        prop_assert!(run(&AUTHENTICATOR, &text).is_err());
    }

    #[test]
    fn bytes_in_three_parts_are_not_a_token(
        header: Vec<u8>,
        payload: Vec<u8>,
        signature: Vec<u8>,
    ) {
        let token = format!("{}.{}.{}", base64(header), base64(payload), base64(signature));
        prop_assert!(run(&AUTHENTICATOR, &token).is_err());
    }

    #[test]
    fn a_changed_token_is_not_a_token(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0x20_u8..0x7f), 1..4),
    ) {
        let mut bytes = GOOD.clone().into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let token = String::from_utf8(bytes).unwrap();
        prop_assume!(token != *GOOD);
        prop_assert!(run(&AUTHENTICATOR, &GOOD).is_ok());
        prop_assert!(run(&AUTHENTICATOR, &token).is_err());
    }

    #[test]
    fn a_shortened_token_is_not_a_token(cut in any::<prop::sample::Index>()) {
        let cut = cut.index(GOOD.len());
        prop_assert!(run(&AUTHENTICATOR, &GOOD[..cut]).is_err());
        prop_assert!(run(&AUTHENTICATOR, &GOOD[GOOD.len() - cut..]).is_err());
    }

    #[test]
    fn a_payload_that_is_not_signed_is_not_let_in(subject in "[a-z]{1,8}", role in "[a-z]{1,8}") {
        let mut claims = payload();
        claims["sub"] = subject.into();
        claims["realm_access"]["roles"] = json!([role]);
        let parts: Vec<_> = GOOD.split('.').collect();
        let token = format!("{}.{}.{}", parts[0], base64(claims.to_string()), parts[2]);
        prop_assert_eq!(run(&AUTHENTICATOR, &token), Err(Reason::Signature.into()));
    }
}
