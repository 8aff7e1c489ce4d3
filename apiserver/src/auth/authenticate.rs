//! Tells who a client is: by its certificate, by a token, or nobody in particular.

use std::sync::Arc;

use api::backend::User;
use api::status::Reason;
use api::{Clock, Status};
use jiff::Timestamp;
use tracing::debug;

use super::certificate::Certified;
use super::tokens::Tokens;
use super::{ANONYMOUS, UNAUTHENTICATED};
use crate::store::Store;

/// The end of what a client showed to say who it is: what goes on for it, such as a watch, ends then too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until(pub Timestamp);

/// Tells who a client is.
pub struct Authenticator {
    clock: Clock,
    store: Store,
    tokens: Option<Arc<Tokens>>,
    anonymous: Arc<User>,
}

impl Authenticator {
    /// Takes certificates that the handshake verified, and tokens if there are any.
    pub fn new(clock: Clock, store: Store, tokens: Option<Arc<Tokens>>) -> Self {
        let anonymous =
            User { name: ANONYMOUS.to_owned(), groups: vec![UNAUTHENTICATED.to_owned()], ..User::default() };
        Self { clock, store, tokens, anonymous: Arc::new(anonymous) }
    }

    /// Who sent a request, by the certificate of its connection and its header `Authorization`.
    ///
    /// A certificate decides. Credentials that are no good are refused, even where anybody is welcome.
    pub fn authenticate(
        &self,
        certified: Option<&Certified>,
        authorization: Option<&[u8]>,
    ) -> Result<Arc<User>, Status> {
        self.authenticate_until(certified, authorization).map(|(user, _)| user)
    }

    /// The same, with the time until which what the client showed is good, if it ends.
    pub fn authenticate_until(
        &self,
        certified: Option<&Certified>,
        authorization: Option<&[u8]>,
    ) -> Result<(Arc<User>, Option<Until>), Status> {
        match certified {
            Some(Certified { user, end }) if self.clock.now() <= *end => {
                return Ok((Arc::clone(user), Some(Until(*end))));
            }
            Some(Certified { user, .. }) => {
                debug!(user = user.name, "refused: the certificate has expired");
                return Err(unauthorized());
            }
            None => {}
        }
        match authorization.and_then(bearer) {
            Some(token) => self.by_token(token),
            None => Ok((Arc::clone(&self.anonymous), None)),
        }
    }

    fn by_token(&self, token: &[u8]) -> Result<(Arc<User>, Option<Until>), Status> {
        let tokens = self.tokens.as_deref().ok_or_else(unauthorized)?;
        let token = std::str::from_utf8(token).map_err(|_| unauthorized())?;
        let verified = tokens.verify_until(token, &self.store).map_err(|rejected| {
            debug!(%rejected, "refused");
            unauthorized()
        });
        verified.map(|(user, end)| (user, Some(Until(end))))
    }
}

/// Who a client is cannot be told from what it sent.
fn unauthorized() -> Status {
    Status::new(Reason::Unauthorized, "Unauthorized")
}

/// The token in `Bearer TOKEN`; none for other schemes, which say nothing here.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let mut parts = header.trim_ascii().splitn(2, |byte| *byte == b' ');
    let is_bearer = parts.next()?.eq_ignore_ascii_case(b"bearer");
    let token = parts.next()?.trim_ascii();
    (is_bearer && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_is_found_in_its_header() {
        let check = |header: &str, token: Option<&str>| {
            assert_eq!(bearer(header.as_bytes()), token.map(str::as_bytes), "{header:?}");
        };
        check("Bearer a.b.c", Some("a.b.c"));
        check("bearer  a.b.c ", Some("a.b.c"));
        check("Bearer ", None);
        check("Bearer", None);
        check("Basic YTpi", None);
        check("", None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_certificate_is_good_until_its_end_however_long_the_connection() {
        let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
        let authenticator = Authenticator::new(clock.clone(), Store::in_memory().unwrap(), None);
        let user = Arc::new(User { name: "jane".to_owned(), groups: Vec::new(), ..User::default() });
        let end = "2026-01-01T01:00:00Z".parse().unwrap();
        let certified = Certified { user: Arc::clone(&user), end };
        let ask = |authorization| authenticator.authenticate(Some(&certified), authorization);
        assert_eq!(ask(None), Ok(Arc::clone(&user)));
        assert_eq!(ask(Some(b"Bearer nonsense")), Ok(user), "the certificate decides");
        clock.sleep(std::time::Duration::from_secs(3_601)).await;
        assert_eq!(ask(None).unwrap_err().code, 401);
        let nobody = authenticator.authenticate(None, None).unwrap();
        assert_eq!(
            (nobody.name.as_str(), nobody.groups.as_slice()),
            (ANONYMOUS, &[UNAUTHENTICATED.to_owned()][..])
        );
        let basic = authenticator.authenticate(None, Some(b"Basic YTpi")).unwrap();
        assert_eq!(basic.name, ANONYMOUS);
        let refused = authenticator.authenticate(None, Some(b"Bearer nonsense")).unwrap_err();
        assert_eq!((refused.code, refused.message.as_str()), (401, "Unauthorized"));
    }
}
