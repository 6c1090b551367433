//! Who may use the private surface.
//! Must hold: comparing takes the same time however much of a secret is right; without any
//! credential configured nobody gets in.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use super::ApiError;
use crate::secret::Secret;

/// What lets a request in: user and password, or a bearer token.
#[derive(Clone, Debug)]
pub struct Credentials {
    user: Secret,
    password: Option<Secret>,
    token: Option<Secret>,
}

impl Credentials {
    /// `None` when neither password nor token is configured: then the private surface
    /// stays off.
    #[must_use]
    pub fn new(user: Secret, password: Option<Secret>, token: Option<Secret>) -> Option<Self> {
        (password.is_some() || token.is_some()).then_some(Self {
            user,
            password,
            token,
        })
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
        else {
            return false;
        };
        let Some((scheme, rest)) = value.split_once(' ') else {
            return false;
        };
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return self
                .token
                .as_ref()
                .is_some_and(|token| equal(token.expose(), rest));
        }
        let Some(password) = self
            .password
            .as_ref()
            .filter(|_| scheme.eq_ignore_ascii_case("basic"))
        else {
            return false;
        };
        let Ok(login) = openssl::base64::decode_block(rest) else {
            return false;
        };
        let Ok(login) = String::from_utf8(login) else {
            return false;
        };
        let Some((user, given)) = login.split_once(':') else {
            return false;
        };
        // Both are always compared.
        equal(self.user.expose(), user) & equal(password.expose(), given)
    }

    fn challenge(&self) -> &'static str {
        match (&self.password, &self.token) {
            (Some(_), Some(_)) => {
                "Basic realm=\"flusso\", charset=\"UTF-8\", Bearer realm=\"flusso\""
            }
            (Some(_), None) => "Basic realm=\"flusso\", charset=\"UTF-8\"",
            (None, _) => "Bearer realm=\"flusso\"",
        }
    }
}

/// Compares hashes, so that neither length nor content shows in the time it takes.
fn equal(expected: &str, given: &str) -> bool {
    let expected = openssl::sha::sha256(expected.as_bytes());
    let given = openssl::sha::sha256(given.as_bytes());
    openssl::memcmp::eq(&expected, &given)
}

/// Puts every route, the fallback included, behind the credentials.
pub(super) fn protect(routes: Router, credentials: Credentials) -> Router {
    routes.layer(from_fn_with_state(Arc::new(credentials), check))
}

async fn check(
    State(credentials): State<Arc<Credentials>>,
    request: Request,
    next: Next,
) -> Response {
    if credentials.admits(request.headers()) {
        return next.run(request).await;
    }
    let error = ApiError::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "this surface wants the admin's password or token",
    );
    let mut response = error.into_response();
    let challenge = HeaderValue::from_static(credentials.challenge());
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    response
}
