-- What is not watched any more, and since when nobody knows whether an alert goes on.

-- Headlines are counted in it, and it may not alert: the settings name other companies.
ALTER TABLE series ADD COLUMN silent BOOLEAN DEFAULT false;

-- Since when nothing is counted in it, because it left the settings; null while it is counted.
ALTER TABLE series ADD COLUMN left_at TIMESTAMPTZ;

-- It said when news was seen again; it says since when quiet time counts, where that is not since the latest surge.
UPDATE alerts SET sighted_at = NULL WHERE sighted_at < last_spike_at;

-- Until when the quiet time of an alert had been seen when it was lost from sight the last time; null when it never was.
ALTER TABLE alerts ADD COLUMN lost_at TIMESTAMPTZ;
