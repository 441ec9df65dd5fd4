"""What is due: claims, fairness between services, pacing, retries."""
