//! Requests and answers as authors of policies see them, on serde and rmp-serde.

mod answer;
mod decode;
mod raw;
mod request;

pub use answer::Answer;
pub use request::Request;

/// Exports a policy: a function from a [`Request`] to an [`Answer`].
#[doc(hidden)]
#[macro_export]
macro_rules! export_policy {
    ($policy:path) => {
        #[allow(dead_code)] // on other targets nothing is exported, and unit tests call $policy
        fn __wasmguard_judge(bytes: &[u8]) -> $crate::kit::Answer {
            $policy(&$crate::kit::Request::read(bytes))
        }
        $crate::policy!(__wasmguard_judge);
    };
}
