//! One thing missing at a time.
