"""Fine-tuning and calibration."""
