//! `marquee import`
use crate::app::AppError;
use crate::config::{ImportArgs, Settings};
/// x
pub fn import(_settings: &Settings, _args: &ImportArgs) -> Result<(), AppError> {
    Ok(())
}
