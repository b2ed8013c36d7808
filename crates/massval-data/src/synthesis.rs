//! True and false questions out of facts that one supplies.
