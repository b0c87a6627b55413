"""Prints figures as tables of text."""

COLUMNS = ("precision", "recall", "f1", "fpr")


def show(name, result):
    print(f"\n{'=' * 100}\n{name}" + (f": {result['texts']} texts" if "texts" in result else ""))
    if result.get("left out"):
        print(f"{result['left out']} more are left out, because they were trained on")
    for title, part in result.items():
        if title in ("texts", "left out"):
            continue
        section(title, part)


def section(title, part, indent=""):
    heading = f"\n{indent}{title}"
    if part is None:
        print(f"{heading}: not available")
    elif isinstance(part, str):
        print(f"{heading}: {part}")
    elif isinstance(part, list):
        print(heading)
        listing(part)
    elif is_figures(part):
        print(f"{heading}: {', '.join(f'{name} {value:.3g}' for name, value in part.items())}")
    elif part and all(isinstance(row, dict) and "precision" in row for row in part.values()):
        print(heading)
        summaries(part)
    elif part and all(isinstance(row, dict) and "auc" in row for row in part.values()):
        print(heading)
        areas(part)
    elif part and all(isinstance(row, list) for row in part.values()):
        print(heading)
        for name, (count, *share) in part.items():
            print(f"  score {name}: {count:6} texts, {interval(share)} of them real")
    else:
        print(heading)
        for name, inner in part.items():
            section(name, inner, indent + "  ")


def is_figures(part):
    return (
        isinstance(part, dict) and part and all(isinstance(v, (int, float)) for v in part.values())
    )


def summaries(rows):
    wide = max(24, *(len(name) for name in rows)) + 2
    print(
        f"  {'':{wide}}{'pos.':>6}{'neg.':>6}  {COLUMNS[0]:<20}{COLUMNS[1]:<20}{COLUMNS[2]:<20}{COLUMNS[3]}"
    )
    for name, row in rows.items():
        cells = "".join(f"{interval(row[column]):<20}" for column in COLUMNS)
        print(f"  {name:{wide}}{row['positives']:>6}{row['negatives']:>6}  {cells}".rstrip())


def areas(rows):
    wide = max(len(name) for name in rows) + 2
    print(
        f"  {'':{wide}}{'pos.':>6}{'neg.':>6}  {'ROC AUC':<20}{'recall at 1% FPR':<20}recall at 5% FPR"
    )
    for name, row in rows.items():
        cells = "".join(
            f"{interval(row[c]):<20}" for c in ("auc", "recall at 1% FPR", "recall at 5% FPR")
        )
        print(f"  {name:{wide}}{row['positives']:>6}{row['negatives']:>6}  {cells}".rstrip())


def listing(rows):
    if rows and isinstance(rows[0], dict):
        print("  " + "".join(f"{name:>20}" for name in rows[0]))
    for row in rows:
        if isinstance(row, str):
            print(f"  {row!r}")
            continue
        cells = [
            f"{value:.3g}" if isinstance(value, float) else str(value or "-")
            for value in row.values()
        ]
        print("  " + "".join(f"{cell:>20}" for cell in cells))


def interval(values):
    if values is None:
        return "-"
    value, low, high = values
    return f"{value:.3f} [{low:.2f}, {high:.2f}]"
