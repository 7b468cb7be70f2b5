use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// `--name value` options of a command line.
#[derive(Debug, Default)]
pub struct Options {
    values: BTreeMap<String, String>,
}

/// A command line that is not understood.
#[derive(Debug, PartialEq, Eq)]
pub struct OptionsError(String);

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OptionsError {}

impl Options {
    /// Takes the options apart (without the program's name); each must be one of `known` and have a value.
    pub fn parse(args: impl IntoIterator<Item = String>, known: &[&str]) -> Result<Self, OptionsError> {
        let mut values = BTreeMap::new();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let name = arg.strip_prefix("--").filter(|n| known.contains(n));
            let name =
                name.ok_or_else(|| OptionsError(format!("unknown option `{arg}`: one of --{}", known.join(" --"))))?;
            let value = args.next().ok_or_else(|| OptionsError(format!("--{name} needs a value")))?;
            if values.insert(name.to_owned(), value).is_some() {
                return Err(OptionsError(format!("--{name} is given twice")));
            }
        }
        Ok(Options { values })
    }

    /// The value of an option, or its default.
    pub fn get<T: FromStr>(&self, name: &str, default: T) -> Result<T, OptionsError> {
        match self.values.get(name) {
            None => Ok(default),
            Some(v) => v.parse().map_err(|_| OptionsError(format!("--{name}: `{v}` is not a valid value"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(args: &[&str]) -> Result<Options, String> {
        Options::parse(args.iter().map(|a| (*a).to_owned()), &["port", "journal"]).map_err(|e| e.to_string())
    }

    #[test]
    fn values_and_defaults() {
        let o = parse(&["--port", "7"]).unwrap();
        assert_eq!(o.get("port", 1u16), Ok(7));
        assert_eq!(o.get("journal", "/journal".to_owned()), Ok("/journal".to_owned()));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(parse(&["--prot", "7"]).unwrap_err(), "unknown option `--prot`: one of --port --journal");
        assert_eq!(parse(&["--port"]).unwrap_err(), "--port needs a value");
        assert_eq!(parse(&["--port", "1", "--port", "2"]).unwrap_err(), "--port is given twice");
        let o = parse(&["--port", "x"]).unwrap();
        assert_eq!(o.get("port", 1u16).unwrap_err().to_string(), "--port: `x` is not a valid value");
    }
}
