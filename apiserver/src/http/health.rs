//! Answers whether the server lives and is ready, check by check.

use std::fmt;
use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;

use super::query::Query;
use super::reply;

/// Something that must hold for the server to be well.
#[derive(Clone)]
pub struct HealthCheck {
    /// The name in answers and paths, such as `store`.
    pub name: &'static str,
    /// Whether only readiness depends on it: a server that is not ready is not restarted for that.
    pub only_ready: bool,
    /// Looks; says what is wrong.
    pub look: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

impl HealthCheck {
    /// A check that life and readiness depend on.
    pub fn new(name: &'static str, look: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { name, only_ready: false, look: Arc::new(look) }
    }

    /// A check that only readiness depends on.
    pub fn ready(name: &'static str, look: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { only_ready: true, ..Self::new(name, look) }
    }
}

impl fmt::Debug for HealthCheck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HealthCheck({})", self.name)
    }
}

/// Answers `/healthz`, `/livez` and `/readyz`, and the paths of single checks below them; none for other paths.
pub(super) fn show(checks: &[HealthCheck], segments: &[&str], query: &Query) -> Option<Response> {
    let (endpoint, one) = match segments {
        [endpoint @ ("healthz" | "livez" | "readyz")] => (*endpoint, None),
        [endpoint @ ("healthz" | "livez" | "readyz"), name] => (*endpoint, Some(*name)),
        _ => return None,
    };
    let mut checks = checks.iter().filter(|check| endpoint == "readyz" || !check.only_ready);
    match one {
        Some(name) => checks.find(|check| check.name == name).map(show_one),
        None => Some(show_all(endpoint, checks, query)),
    }
}

fn show_one(check: &HealthCheck) -> Response {
    match (check.look)() {
        Ok(()) => reply::text(StatusCode::OK, "ok"),
        Err(why) => reply::text(StatusCode::INTERNAL_SERVER_ERROR, format!("internal server error: {why}\n")),
    }
}

fn show_all<'a>(endpoint: &str, checks: impl Iterator<Item = &'a HealthCheck>, query: &Query) -> Response {
    let excluded: Vec<&str> = query.all("exclude").collect();
    let mut lines = String::new();
    let mut is_well = true;
    for check in checks {
        let name = check.name;
        if excluded.contains(&name) {
            lines.push_str(&format!("[+]{name} excluded: ok\n"));
            continue;
        }
        match (check.look)() {
            Ok(()) => lines.push_str(&format!("[+]{name} ok\n")),
            Err(why) => {
                is_well = false;
                lines.push_str(&format!("[-]{name} failed: {why}\n"));
            }
        }
    }
    match (is_well, query.get("verbose").is_some()) {
        (true, false) => reply::text(StatusCode::OK, "ok"),
        (true, true) => reply::text(StatusCode::OK, format!("{lines}{endpoint} check passed\n")),
        (false, _) => {
            reply::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{lines}{endpoint} check failed\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn answers_read_as_kubernetes_writes_them() {
        let checks = [
            HealthCheck::new("ping", || Ok(())),
            HealthCheck::ready("shutdown", || Err("the server is stopping".to_owned())),
        ];
        let row = async |path: &str, query: &str, code: u16, text: &str| {
            let segments: Vec<&str> = path.split('/').collect();
            let response = show(&checks, &segments, &Query::parse(Some(query))).unwrap();
            assert_eq!(response.status().as_u16(), code, "{path}");
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), text, "{path}");
        };
        row("healthz", "", 200, "ok").await;
        row("livez", "verbose", 200, "[+]ping ok\nlivez check passed\n").await;
        row("livez/ping", "", 200, "ok").await;
        let failed = "[+]ping ok\n[-]shutdown failed: the server is stopping\nreadyz check failed\n";
        row("readyz", "", 500, failed).await;
        row("readyz", "exclude=shutdown", 200, "ok").await;
        let excluded = "[+]ping ok\n[+]shutdown excluded: ok\nreadyz check passed\n";
        row("readyz", "exclude=shutdown&verbose=true", 200, excluded).await;
        assert!(show(&checks, &["livez", "shutdown"], &Query::default()).is_none());
        assert!(show(&checks, &["livez", "ping", "more"], &Query::default()).is_none());
    }
}
