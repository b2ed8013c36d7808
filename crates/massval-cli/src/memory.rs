//! How much memory there is, and amounts of it as people type them.

use massval::MemoryLimit;

/// `4GiB`, `500MB`, `2g` (binary, as all letters alone), or bytes.
pub fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err("give an amount like 4GiB, 500MB or 2000000000".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| "give a number, like 4GiB".to_owned())?;
    let amount = number * scale as f64;
    match amount >= 1.0 && amount < 2f64.powi(60) {
        true => Ok(amount as u64),
        false => Err("is no amount of memory".to_owned()),
    }
}

/// The limit that was asked for, or what is free; hidden states beyond it go to the system's folder for such.
pub fn limit(asked: Option<u64>) -> Option<MemoryLimit> {
    let limit = asked.or_else(free)?;
    Some(MemoryLimit::new(limit).spilling_to(std::env::temp_dir()))
}

/// Bytes that are free on this machine, where it tells.
fn free() -> Option<u64> {
    let told = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kib = told.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let free = kib.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10;
    Some(free.min(group().unwrap_or(u64::MAX)))
}

/// What a container leaves, where there is a limit (cgroup v2).
fn group() -> Option<u64> {
    let read = |name| std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok();
    let number = |name| read(name)?.trim().parse::<u64>().ok();
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn amounts_as_people_type_them() {
        for (text, amount) in [
            ("4GiB", 4 << 30),
            ("4g", 4 << 30),
            ("1.5 MiB", 3 << 19),
            ("500MB", 500_000_000),
            ("12345", 12345),
        ] {
            assert_eq!(bytes(text), Ok(amount), "{text}");
        }
        for text in ["", "GiB", "-1GiB", "4 giraffes", "0", "1e3", "99999999999TiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
