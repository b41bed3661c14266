//! Why a command failed, and the exit code that says so.

/// The text ends with the remedy.
#[derive(Debug)]
pub(crate) enum Failure {
    Other(String),
    Unreachable(String),
    NotPermitted(String),
    Configuration(String),
}

impl Failure {
    /// 1 failed, 3 daemon not reachable, 4 not permitted, 5 configuration invalid; 2, wrong
    /// usage, is clap's.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Other(_) => 1,
            Self::Unreachable(_) => 3,
            Self::NotPermitted(_) => 4,
            Self::Configuration(_) => 5,
        }
    }

    /// The same kind of failure, in other words.
    pub(crate) fn with_text(&self, text: String) -> Self {
        match self {
            Self::Other(_) => Self::Other(text),
            Self::Unreachable(_) => Self::Unreachable(text),
            Self::NotPermitted(_) => Self::NotPermitted(text),
            Self::Configuration(_) => Self::Configuration(text),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Other(text)
        | Self::Unreachable(text)
        | Self::NotPermitted(text)
        | Self::Configuration(text)) = self;
        f.write_str(text)
    }
}
