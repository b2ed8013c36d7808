//! The name table: every site in the three spellings, and the places that look like sites.
//!
//! Classic names follow TransformerLens up to version 2, TransformerLens-3 names its
//! `TransformerBridge` (`docs/source/content/model_structure.md` and the `hook_aliases` of its
//! components), module paths the models of Hugging Face transformers. A name stands here only if
//! what it gives there holds the same numbers as the site, up to layout.
//!
//! `attn_out` and `mlp_out` are what is *added* to the residual stream. That is what the last
//! projection gives, unless a norm follows it (Gemma 2): see `ModelPoints::with_norms_behind`.
//! BLOOM's and MPT's modules of MLP and attention return the stream with their part added; only their
//! projections stand here, and `transformer.h.{l}.mlp` means Falcon's, GPT-2's and GPT-J's.

use crate::Site;

/// Stands for the layer's number in a name.
pub(crate) const LAYER: &str = "{l}";

/// A name with its layer filled in.
pub(crate) fn render(name: &str, layer: usize) -> String {
    name.replace(LAYER, &layer.to_string())
}

/// The canonical name.
pub(crate) const fn classic(site: Site) -> &'static str {
    match site {
        Site::Embed => "hook_embed",
        Site::ResidPre => "blocks.{l}.hook_resid_pre",
        Site::Q => "blocks.{l}.attn.hook_q",
        Site::K => "blocks.{l}.attn.hook_k",
        Site::V => "blocks.{l}.attn.hook_v",
        Site::QNormed => "blocks.{l}.attn.hook_q_normed",
        Site::KNormed => "blocks.{l}.attn.hook_k_normed",
        Site::RotQ => "blocks.{l}.attn.hook_rot_q",
        Site::RotK => "blocks.{l}.attn.hook_rot_k",
        Site::AttnScores => "blocks.{l}.attn.hook_attn_scores",
        Site::Pattern => "blocks.{l}.attn.hook_pattern",
        Site::Z => "blocks.{l}.attn.hook_z",
        Site::AttnOut => "blocks.{l}.hook_attn_out",
        Site::ResidMid => "blocks.{l}.hook_resid_mid",
        Site::MlpPre => "blocks.{l}.mlp.hook_pre",
        Site::MlpPost => "blocks.{l}.mlp.hook_post",
        Site::MlpOut => "blocks.{l}.hook_mlp_out",
        Site::ResidPost => "blocks.{l}.hook_resid_post",
        Site::LnFinal => "ln_final.hook_normalized",
        Site::Logits => "hook_logits",
    }
}

/// TransformerLens-3 names that differ from the classic one. The first of a site is the one to
/// show.
pub(crate) const TRANSFORMER_LENS_3: &[(Site, &str)] = &[
    (Site::Embed, "embed.hook_out"),
    (Site::ResidPre, "blocks.{l}.hook_in"),
    (Site::Q, "blocks.{l}.attn.q.hook_out"),
    (Site::Q, "blocks.{l}.attn.qkv.q_hook_out"),
    (Site::K, "blocks.{l}.attn.k.hook_out"),
    (Site::K, "blocks.{l}.attn.qkv.k_hook_out"),
    (Site::V, "blocks.{l}.attn.v.hook_out"),
    (Site::V, "blocks.{l}.attn.qkv.v_hook_out"),
    (Site::QNormed, "blocks.{l}.attn.q_norm.hook_out"),
    (Site::KNormed, "blocks.{l}.attn.k_norm.hook_out"),
    (Site::Z, "blocks.{l}.attn.o.hook_in"),
    (Site::AttnOut, "blocks.{l}.attn.hook_out"),
    (Site::AttnOut, "blocks.{l}.attn.o.hook_out"),
    (Site::ResidMid, "blocks.{l}.ln2.hook_in"),
    (Site::MlpPre, "blocks.{l}.mlp.gate.hook_out"),
    (Site::MlpPost, "blocks.{l}.mlp.out.hook_in"),
    (Site::MlpOut, "blocks.{l}.mlp.hook_out"),
    (Site::MlpOut, "blocks.{l}.mlp.out.hook_out"),
    (Site::ResidPost, "blocks.{l}.hook_out"),
    (Site::LnFinal, "ln_final.hook_out"),
    (Site::LnFinal, "unembed.hook_in"),
    (Site::Logits, "unembed.hook_out"),
    (Site::Logits, "hook_unembed"),
];

/// Modules of Hugging Face models whose output is a site: of the Llama family and Phi, of OPT, of GPT-2,
/// GPT-Neo, GPT-J, Falcon and BLOOM, of MPT, of GPT-NeoX. The first of a site and family is the one to
/// show.
pub(crate) const HUGGING_FACE: &[(Site, &str)] = &[
    (Site::Embed, "model.embed_tokens"),
    (Site::Q, "model.layers.{l}.self_attn.q_proj"),
    (Site::K, "model.layers.{l}.self_attn.k_proj"),
    (Site::V, "model.layers.{l}.self_attn.v_proj"),
    (Site::QNormed, "model.layers.{l}.self_attn.q_norm"),
    (Site::QNormed, "model.layers.{l}.self_attn.q_layernorm"),
    (Site::KNormed, "model.layers.{l}.self_attn.k_norm"),
    (Site::KNormed, "model.layers.{l}.self_attn.k_layernorm"),
    (Site::AttnOut, "model.layers.{l}.self_attn.o_proj"),
    (Site::AttnOut, "model.layers.{l}.self_attn.dense"),
    (Site::AttnOut, "model.layers.{l}.self_attn"),
    (Site::MlpPre, "model.layers.{l}.mlp.gate_proj"),
    (Site::MlpPre, "model.layers.{l}.mlp.fc1"),
    (Site::MlpOut, "model.layers.{l}.mlp.down_proj"),
    (Site::MlpOut, "model.layers.{l}.mlp.fc2"),
    (Site::MlpOut, "model.layers.{l}.mlp"),
    (Site::ResidPost, "model.layers.{l}"),
    (Site::LnFinal, "model.norm"),
    (Site::LnFinal, "model.final_layernorm"),
    (Site::Logits, "lm_head"),
    (Site::Q, "model.decoder.layers.{l}.self_attn.q_proj"),
    (Site::K, "model.decoder.layers.{l}.self_attn.k_proj"),
    (Site::V, "model.decoder.layers.{l}.self_attn.v_proj"),
    (Site::AttnOut, "model.decoder.layers.{l}.self_attn.out_proj"),
    (Site::AttnOut, "model.decoder.layers.{l}.self_attn"),
    (Site::MlpPre, "model.decoder.layers.{l}.fc1"),
    (Site::MlpOut, "model.decoder.layers.{l}.fc2"),
    (Site::ResidPost, "model.decoder.layers.{l}"),
    (Site::LnFinal, "model.decoder.final_layer_norm"),
    (Site::Embed, "transformer.wte"),
    (Site::Q, "transformer.h.{l}.attn.q_proj"),
    (Site::Q, "transformer.h.{l}.attn.attention.q_proj"),
    (Site::K, "transformer.h.{l}.attn.k_proj"),
    (Site::K, "transformer.h.{l}.attn.attention.k_proj"),
    (Site::V, "transformer.h.{l}.attn.v_proj"),
    (Site::V, "transformer.h.{l}.attn.attention.v_proj"),
    (Site::AttnOut, "transformer.h.{l}.attn.c_proj"),
    (Site::AttnOut, "transformer.h.{l}.attn.out_proj"),
    (Site::AttnOut, "transformer.h.{l}.attn.attention.out_proj"),
    (Site::AttnOut, "transformer.h.{l}.attn"),
    (Site::AttnOut, "transformer.h.{l}.self_attention.dense"),
    (Site::MlpPre, "transformer.h.{l}.mlp.c_fc"),
    (Site::MlpPre, "transformer.h.{l}.mlp.fc_in"),
    (Site::MlpPre, "transformer.h.{l}.mlp.dense_h_to_4h"),
    (Site::MlpPost, "transformer.h.{l}.mlp.act"),
    (Site::MlpOut, "transformer.h.{l}.mlp.c_proj"),
    (Site::MlpOut, "transformer.h.{l}.mlp.fc_out"),
    (Site::MlpOut, "transformer.h.{l}.mlp.dense_4h_to_h"),
    (Site::MlpOut, "transformer.h.{l}.mlp"),
    (Site::ResidPost, "transformer.h.{l}"),
    (Site::LnFinal, "transformer.ln_f"),
    (Site::AttnOut, "transformer.blocks.{l}.attn.out_proj"),
    (Site::AttnOut, "transformer.blocks.{l}.attn"),
    (Site::MlpPre, "transformer.blocks.{l}.ffn.up_proj"),
    (Site::MlpPost, "transformer.blocks.{l}.ffn.act"),
    (Site::MlpOut, "transformer.blocks.{l}.ffn.down_proj"),
    (Site::ResidPost, "transformer.blocks.{l}"),
    (Site::LnFinal, "transformer.norm_f"),
    (Site::Embed, "gpt_neox.embed_in"),
    (Site::AttnOut, "gpt_neox.layers.{l}.attention.dense"),
    (Site::AttnOut, "gpt_neox.layers.{l}.attention"),
    (Site::MlpPre, "gpt_neox.layers.{l}.mlp.dense_h_to_4h"),
    (Site::MlpPost, "gpt_neox.layers.{l}.mlp.act"),
    (Site::MlpOut, "gpt_neox.layers.{l}.mlp.dense_4h_to_h"),
    (Site::MlpOut, "gpt_neox.layers.{l}.mlp"),
    (Site::ResidPost, "gpt_neox.layers.{l}"),
    (Site::LnFinal, "gpt_neox.final_layer_norm"),
    (Site::Logits, "embed_out"),
];

const FUSED: &str =
    "it gives Q, K and V in one tensor; ask for `blocks.{l}.attn.hook_q`, `hook_k` or `hook_v`";
const UNGATED: &str = "it gives the linear half of a gated MLP; `blocks.{l}.mlp.hook_pre` is the \
                       gate's, `blocks.{l}.mlp.hook_post` the product of both";
const UNGATED_OR_PRE: &str = "it is the linear half in a gated MLP and the activation's input in a \
                              plain one; `blocks.{l}.mlp.hook_pre` is the latter in both";
const FUSED_GATE: &str = "it gives both halves of a gated MLP in one tensor; \
                          `blocks.{l}.mlp.hook_pre` is the gate's";
const BEFORE_GATING: &str = "it gives the gate before it meets the linear half; \
                             `blocks.{l}.mlp.hook_post` is the product of both";
const NORM: &str = "what goes into a layer's norm is `blocks.{l}.hook_resid_pre` or \
                    `blocks.{l}.hook_resid_mid`; what comes out has no hook point";
const POSITIONS: &str = "position embeddings have no hook point; `blocks.0.hook_resid_pre` has \
                         them added, `blocks.{l}.attn.hook_rot_q` and `hook_rot_k` are rotated";
const NORMED_INPUT: &str = "the normed input of attention and MLP has no hook point; the stream \
                            before the norm is `blocks.{l}.hook_resid_pre` or `hook_resid_mid`";
const PER_HEAD: &str = "the output per head has no hook point; `blocks.{l}.attn.hook_z` is what \
                        goes into the output projection";

/// Places that exist under these names but hold nothing that is a site, and what to ask for
/// instead.
pub(crate) const ELSEWHERE: &[(&str, &str)] = &[
    ("model.layers.{l}.self_attn.qkv_proj", FUSED),
    ("transformer.h.{l}.attn.c_attn", FUSED),
    ("transformer.h.{l}.self_attention.query_key_value", FUSED),
    ("transformer.blocks.{l}.attn.Wqkv", FUSED),
    ("gpt_neox.layers.{l}.attention.query_key_value", FUSED),
    ("blocks.{l}.attn.qkv.hook_out", FUSED),
    ("model.layers.{l}.mlp.up_proj", UNGATED),
    ("blocks.{l}.mlp.hook_pre_linear", UNGATED),
    ("blocks.{l}.mlp.in.hook_out", UNGATED_OR_PRE),
    ("model.layers.{l}.mlp.gate_up_proj", FUSED_GATE),
    ("model.layers.{l}.mlp.act_fn", BEFORE_GATING),
    ("model.layers.{l}.input_layernorm", NORM),
    ("model.layers.{l}.post_attention_layernorm", NORM),
    ("transformer.h.{l}.ln_1", NORM),
    ("transformer.h.{l}.ln_2", NORM),
    ("gpt_neox.layers.{l}.input_layernorm", NORM),
    ("gpt_neox.layers.{l}.post_attention_layernorm", NORM),
    ("blocks.{l}.ln1.hook_in", NORM),
    ("blocks.{l}.ln1.hook_scale", NORM),
    ("blocks.{l}.ln1.hook_normalized", NORM),
    ("blocks.{l}.ln1.hook_out", NORM),
    ("blocks.{l}.ln2.hook_scale", NORM),
    ("blocks.{l}.ln2.hook_normalized", NORM),
    ("blocks.{l}.ln2.hook_out", NORM),
    ("blocks.{l}.hook_attn_in", NORMED_INPUT),
    ("blocks.{l}.hook_mlp_in", NORMED_INPUT),
    ("blocks.{l}.hook_q_input", NORMED_INPUT),
    ("blocks.{l}.hook_k_input", NORMED_INPUT),
    ("blocks.{l}.hook_v_input", NORMED_INPUT),
    ("blocks.{l}.attn.hook_in", NORMED_INPUT),
    ("blocks.{l}.mlp.hook_in", NORMED_INPUT),
    ("blocks.{l}.attn.hook_result", PER_HEAD),
    ("hook_pos_embed", POSITIONS),
    ("pos_embed.hook_out", POSITIONS),
    ("rotary_emb.hook_out", POSITIONS),
    ("transformer.wpe", POSITIONS),
    ("model.rotary_emb", POSITIONS),
    ("gpt_neox.rotary_emb", POSITIONS),
    ("ln_final.hook_scale", "the output of the final norm is `ln_final.hook_normalized`"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_name_means_one_thing_and_has_a_layer_where_its_site_has() {
        let mut seen = BTreeSet::new();
        let classic = Site::ALL.into_iter().map(|site| (site, classic(site)));
        for (site, name) in classic.chain(TRANSFORMER_LENS_3.iter().chain(HUGGING_FACE).copied()) {
            assert!(seen.insert(name), "{name} twice");
            assert_eq!(name.matches(LAYER).count(), usize::from(site.in_layer()), "{name}");
        }
        for (name, _) in ELSEWHERE {
            assert!(seen.insert(name), "{name} twice");
        }
    }
}
