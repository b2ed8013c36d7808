//! How the sites of a scan are grouped and named: queries, keys and values, before and after RoPE.

/// Sites that describe one of Q, K and V, in the order in which the model computes them.
pub(crate) struct Family<'a> {
    /// `Q`, `K`, `V`, or the site's own name.
    pub(crate) name: &'a str,
    /// The sites in computing order; the last one enters the attention product.
    pub(crate) sites: Vec<&'a str>,
    /// Whether the channels form rotary pairs.
    pub(crate) rotary: bool,
}

const KNOWN: [(&str, &[&str], bool); 3] = [
    ("Q", &["q", "q_normed", "rot_q"], true),
    ("K", &["k", "k_normed", "rot_k"], true),
    ("V", &["v"], false),
];

/// Groups the sites in `present`; a site of no known family stands alone at the end.
pub(crate) fn families<'a>(present: &[&'a str]) -> Vec<Family<'a>> {
    let mut families = Vec::new();
    for (name, order, rotary) in KNOWN {
        let find = |wanted: &&str| present.iter().find(|site| *site == wanted).copied();
        let sites: Vec<&str> = order.iter().filter_map(find).collect();
        if !sites.is_empty() {
            families.push(Family { name, sites, rotary });
        }
    }
    let known = |site: &str| KNOWN.iter().any(|(_, order, _)| order.contains(&site));
    for site in present.iter().filter(|site| !known(site)) {
        families.push(Family { name: site, sites: vec![site], rotary: false });
    }
    families
}

/// Whether the channels of `site` form rotary pairs.
pub(crate) fn is_rotary(site: &str) -> bool {
    KNOWN.iter().any(|(_, order, rotary)| *rotary && order.contains(&site))
}

impl<'a> Family<'a> {
    /// The site that enters the attention product.
    pub(crate) fn last(&self) -> &'a str {
        self.sites.last().copied().unwrap_or(self.name)
    }

    /// The sites before the last one.
    pub(crate) fn before(&self) -> &[&'a str] {
        self.sites.split_last().map_or(&[], |(_, before)| before)
    }

    /// What a person calls the family.
    pub(crate) fn title(&self) -> &'a str {
        match self.name {
            "Q" => "Queries",
            "K" => "Keys",
            "V" => "Values",
            other => other,
        }
    }

    /// What a person calls `site` beside the family's other sites.
    pub(crate) fn site_title(&self, site: &str) -> &'static str {
        let rotated = self.sites.iter().any(|s| s.starts_with("rot_"));
        let normed = self.sites.iter().any(|s| s.ends_with("_normed"));
        match site {
            "rot_q" | "rot_k" => "after RoPE",
            "q_normed" | "k_normed" if rotated => "before RoPE, normalised",
            "q_normed" | "k_normed" => "normalised",
            "q" | "k" if normed => "before normalisation",
            "q" | "k" if rotated => "before RoPE",
            _ => "as projected",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_are_grouped_in_computing_order_whatever_order_they_come_in() {
        let families = families(&["rot_k", "v", "q", "k", "rot_q", "z"]);
        let names: Vec<_> = families.iter().map(|f| (f.name, f.sites.clone())).collect();
        assert_eq!(
            names,
            [
                ("Q", vec!["q", "rot_q"]),
                ("K", vec!["k", "rot_k"]),
                ("V", vec!["v"]),
                ("z", vec!["z"]),
            ]
        );
        assert_eq!(families[0].site_title("q"), "before RoPE");
        assert_eq!(families[0].last(), "rot_q");
        assert_eq!(families[2].before(), &[] as &[&str]);
    }
}
