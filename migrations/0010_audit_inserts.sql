-- `INSERT OR REPLACE` removes the row in its way without asking the triggers for DELETE.
CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq OR id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
CREATE TRIGGER audit_personal_no_replace BEFORE INSERT ON audit_personal
WHEN EXISTS (SELECT 1 FROM audit_personal WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
