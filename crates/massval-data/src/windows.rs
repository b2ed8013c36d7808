//! Windows of text for perplexity, by the rules of the papers.
