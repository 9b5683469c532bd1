//! Names of accelerators: nodes and users spell them differently.

/// Vendors that begin the names of their products.
const VENDORS: [&str; 2] = ["NVIDIA", "AMD"];
/// Vendor whose products have names of two parts.
const INTEL: &str = "INTEL";
/// Product lines that are left out: what follows tells the product.
const LINES: [&str; 5] = ["TESLA", "GEFORCE", "QUADRO", "INSTINCT", "RADEON"];
/// Product lines that are part of the product's name.
const FAMILIES: [&str; 4] = ["GAUDI", "RTX", "MAX", "FLEX"];
/// Marks a slice of a GPU, which is not a whole one of the same product.
const SLICE: &str = "MIG";

/// The type of an accelerator: vendor, memory and form factor are left out, so that a node's
/// `NVIDIA-A100-PCIE-80GB` and a user's `A100` are the same. A slice of a GPU is of a type of its own.
///
/// | name | type |
/// |---|---|
/// | `NVIDIA-A100-PCIE-80GB`, `nvidia-A100-SXM4-40GB`, `A100-80GB`, `A100` | `A100` |
/// | `NVIDIA-A100-SXM4-40GB-MIG-1g.5gb` | `A100-MIG-1g.5gb` |
/// | `AMD-MI300X-192G`, `AMD-Instinct-MI300X` | `MI300X` |
/// | `Intel-Gaudi-2-96GB`, `Gaudi-2` | `Gaudi-2` |
/// | `NVIDIA-GeForce-RTX-4090` | `RTX-4090` |
/// | `AMD_Instinct_MI300X_OAM`, `Intel-Max-1550`, `Max_1550` (as the vendors' operators label nodes) | `MI300X`, `Max-1550` |
pub fn type_of(name: &str) -> String {
    let parts: Vec<_> = name.split(['-', '_']).collect();
    let mut product = match parts.as_slice() {
        [] | [_] => return name.to_owned(),
        [vendor, rest @ ..] if is_one_of(vendor, &VENDORS) => product(rest),
        [vendor, line, model, ..] if is_one_of(vendor, &[INTEL]) => format!("{line}-{model}"),
        [vendor, line] if is_one_of(vendor, &[INTEL]) => (*line).to_owned(),
        // Without a vendor: `A100-80GB`, `Gaudi-2`.
        rest @ [first, ..] if names_a_product(first) => product(rest),
        [_, model, ..] => (*model).to_owned(),
    };
    if let Some(slice) = parts.iter().position(|part| is_one_of(part, &[SLICE])) {
        product = format!("{product}-{}", parts.get(slice..).unwrap_or_default().join("-"));
    }
    product
}

/// What types are compared by: users write `h100` too.
pub fn pool_of(name: &str) -> String {
    type_of(name).to_ascii_lowercase()
}

/// The product named by what follows the vendor.
fn product(parts: &[&str]) -> String {
    match parts {
        [line, rest @ ..] if !rest.is_empty() && is_one_of(line, &LINES) => product(rest),
        [family, model, ..] if is_one_of(family, &FAMILIES) => format!("{family}-{model}"),
        [model, ..] => (*model).to_owned(),
        [] => String::new(),
    }
}

fn names_a_product(part: &str) -> bool {
    is_one_of(part, &LINES) || is_one_of(part, &FAMILIES) || part.contains(|char: char| char.is_ascii_digit())
}

fn is_one_of(part: &str, names: &[&str]) -> bool {
    names.iter().any(|name| part.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nvidia("NVIDIA-A100-PCIE-80GB", "A100")]
    #[case::nvidia_in_small_letters("nvidia-A100-PCIE-80GB", "A100")]
    #[case::amd("AMD-MI300X-192G", "MI300X")]
    #[case::intel("Intel-Gaudi-2-96GB", "Gaudi-2")]
    #[case::a_type_already("A100", "A100")]
    #[case::unknown_vendor("Unknown-GPU-Model-123", "GPU")]
    #[case::intel_with_two_parts("Intel-Max", "Max")]
    fn case_91_a_name_is_reduced_to_its_type_as_by_the_go_controller(#[case] name: &str, #[case] type_: &str) {
        assert_eq!(type_of(name), type_);
    }

    #[rstest]
    #[case::memory_only_go_made_it_80gb("A100-80GB", "A100")]
    #[case::family_go_made_it_2("Gaudi-2", "Gaudi-2")]
    #[case::gaming_go_made_it_geforce("NVIDIA-GeForce-RTX-4090", "RTX-4090")]
    #[case::workstation_go_made_it_rtx("NVIDIA-RTX-A6000", "RTX-A6000")]
    #[case::old_name_go_made_it_v100("Tesla-V100-SXM2-16GB", "V100")]
    #[case::label_of_amds_operator("AMD_Instinct_MI300X_OAM", "MI300X")]
    #[case::label_of_intels_operator("Max_1550", "Max-1550")]
    #[case::the_same_with_its_vendor("Intel-Max-1550", "Max-1550")]
    #[case::label_of_a_cloud("nvidia-h100-80gb", "h100")]
    #[case::slice_go_made_it_a100("NVIDIA-A100-SXM4-40GB-MIG-1g.5gb", "A100-MIG-1g.5gb")]
    fn a_type_keeps_what_tells_products_apart(#[case] name: &str, #[case] type_: &str) {
        assert_eq!(type_of(name), type_);
    }

    #[test]
    fn capital_letters_do_not_matter() {
        assert_eq!(pool_of("h100"), pool_of("NVIDIA-H100-80GB-HBM3"));
    }
}
