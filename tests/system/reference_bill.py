"""A second calculation of statements, for comparing with the appliance's: out
of the rules in words of appliance/billing/billing.h, day by day, in exact
decimals and fractions. It shares no code with the first one, and is slow."""

import datetime
import decimal
import fractions

DECIMALS = {"EUR": 2, "USD": 2, "JPY": 0, "BHD": 3, "CLF": 4}
DAY = datetime.timedelta(days=1)
Fraction = fractions.Fraction


def date(text):
    return datetime.date.fromisoformat(text[:10])


def half_even(value, currency):
    """An exact fraction of the currency's unit, to its minor units."""
    minor = value * 10 ** DECIMALS[currency]
    with decimal.localcontext() as context:
        context.prec = 200
        # The division could not be exact; the tie is decided on integers.
        whole, rest = divmod(minor.numerator, minor.denominator)
        if 2 * rest > minor.denominator or (
                2 * rest == minor.denominator and whole % 2):
            whole += 1
        return decimal.Decimal(whole).scaleb(-DECIMALS[currency])


def money(amount, currency):
    return str(amount.quantize(decimal.Decimal(1).scaleb(
        -DECIMALS[currency])))


def exact(number):
    return Fraction(str(number))


def days_of(first, last):
    day = first
    while day <= last:
        yield day
        day += DAY


def month_of(day):
    return day.strftime("%Y-%m")


def month_days(month):
    year, number = int(month[:4]), int(month[5:])
    first = datetime.date(year, number, 1)
    after = datetime.date(year + number // 12, number % 12 + 1, 1)
    return list(days_of(first, after - DAY))


def read_period(text):
    if "/" in text:
        first, last = text.split("/")
        return date(first), date(last)
    days = month_days(text)
    return days[0], days[-1]


def model_of(lic):
    return lic.get("billing", {}).get("model", "commit_overage")


class License:
    """The serials of one license."""

    def __init__(self, serials, facts):
        self.serials = sorted(serials, key=lambda lic: lic["serial"])
        self.id = self.serials[0]["license_id"]
        self.cancelled = next(
            (date(c["day"]) for c in facts.get("cancelled", [])
             if c["license"] == self.id), datetime.date.max)
        self.facts = facts

    def begins(self, lic):
        start = date(lic["contract"]["start_date"])
        if lic is self.serials[0]:
            return start
        return max(start, date(lic["issued_at"]))

    def in_force(self, day):
        """The highest serial that has begun, if its contract still runs."""
        begun = [lic for lic in self.serials if self.begins(lic) <= day]
        if not begun or day > self.cancelled:
            return None
        lic = begun[-1]
        return lic if day <= date(lic["contract"]["end_date"]) else None

    # --- fees ------------------------------------------------------------------

    def monthly(self, lic, what):
        if lic is None:
            return Fraction(0)
        if what == "commit_fee":
            if model_of(lic) in ("commit_overage", "hybrid",
                                 "revenue_share"):
                return exact(
                    lic["entitlement"]["pricing"]["commit_fee_monthly"])
        elif (model_of(lic) in ("subscription", "hybrid") and
              lic["contract"]["billing_cycle"] == "monthly"):
            return exact(lic["billing"].get("subscription_fee", 0))
        return Fraction(0)

    def add_monthly(self, lines, what, first, last, currency):
        months = sorted({month_of(day) for day in days_of(first, last)})
        for month in months:
            days = month_days(month)
            running = Fraction(0)
            told = {}
            for day in days:
                lic = self.in_force(day)
                before = half_even(running, currency)
                running += self.monthly(lic, what) / len(days)
                if first <= day <= last and self.monthly(lic, what):
                    serial = lic["serial"]
                    told.setdefault(serial, [day, decimal.Decimal(0)])
                    told[serial][1] += half_even(running, currency) - before
            for serial, (day, amount) in told.items():
                lines.append((what, day, serial, "", 1, amount))

    @staticmethod
    def anniversary(start, year):
        try:
            return start.replace(year=year)
        except ValueError:
            return datetime.date(year, 2, 28)

    def add_annual(self, lines, first, last, currency):
        for day in days_of(first, last):
            lic = self.in_force(day)
            if (lic is None or model_of(lic) not in ("subscription", "hybrid")
                    or lic["contract"]["billing_cycle"] != "annual"):
                continue
            fee = exact(lic["billing"].get("subscription_fee", 0))
            start = date(lic["contract"]["start_date"])
            if not fee or day != self.anniversary(start, day.year):
                continue
            after = self.anniversary(start, day.year + 1)
            whole = (after - day).days
            paid = min(whole, (date(lic["contract"]["end_date"]) - day).days
                       + 1)
            lines.append(("subscription", day, lic["serial"], "", 1,
                          half_even(fee * paid / whole, currency)))

    # --- use -------------------------------------------------------------------

    def by_serial(self, serial):
        return next(lic for lic in self.serials if lic["serial"] == serial)

    def add_overage(self, lines, first, last):
        counts = {}
        for fact in self.facts.get("overage", []):
            if fact["license"] == self.id and \
                    first <= date(fact["day"]) <= last:
                key = (fact["serial"], fact.get("feature", ""))
                counts[key] = counts.get(key, 0) + fact["count"]
        for (serial, feature), count in counts.items():
            lic = self.by_serial(serial)
            price = lic["entitlement"]["pricing"]["overage_per_use"]
            if feature:
                price = next(f["overage_per_use"] for f in lic["features"]
                             if f["id"] == feature)
            if model_of(lic) in ("subscription", "revenue_share"):
                price = 0
            lines.append(("overage", first, serial, feature, count,
                          count * decimal.Decimal(str(price))))

    @staticmethod
    def price_of(lic, metric):
        if model_of(lic) not in ("per_use", "hybrid"):
            return None
        return next((p for p in lic["billing"].get("usage", [])
                     if p["metric"] == metric), None)

    def is_priced(self, lic, metric):
        return self.price_of(lic, metric) is not None or (
            model_of(lic) == "revenue_share" and
            lic["billing"]["share_metric"] == metric)

    def charge(self, lines, lic, metric, day, used, before, currency):
        price = self.price_of(lic, metric)
        if not used:
            return
        if price is not None:
            above = used - min(used, max(0, price.get("included", 0) - before))
            units = -(-above // price["unit"])
            lines.append(("usage", day, lic["serial"], metric, units,
                          units * decimal.Decimal(str(price["price"]))))
        elif self.is_priced(lic, metric):
            share = Fraction(lic["billing"]["share_ppm"], 1000000)
            revenue = Fraction(used, 10 ** DECIMALS[currency])
            lines.append(("revenue_share", day, lic["serial"], metric, 1,
                          half_even(revenue * share, currency)))

    def add_metrics(self, lines, first, last, currency):
        facts = [f for f in self.facts.get("usage", [])
                 if f["license"] == self.id]
        for metric in sorted({f["metric"] for f in facts}):
            for month in sorted({month_of(d) for d in days_of(first, last)}):
                span = [d for d in month_days(month) if first <= d <= last]
                self.add_metric(lines, metric,
                                [f for f in facts if f["metric"] == metric],
                                span, currency)

    def add_metric(self, lines, metric, facts, span, currency):
        force = [lic for lic in self.serials
                 if any(self.in_force(d) is lic for d in span)]
        values = {}
        for fact in facts:  # in their order
            when = date(fact["day"])
            value = values.setdefault(fact["serial"], {
                "sum": 0, "max": 0, "events": 0, "gauge": fact["gauge"]})
            if when > span[-1]:
                continue
            if when < span[0]:
                if fact["gauge"]:
                    value["max"] = fact["amount"]
                    value["held"] = True
                continue
            value["events"] += 1
            value["sum"] += fact["amount"]
            value["max"] = max(value["max"], fact["amount"])
        serials = sorted(
            s for s, v in values.items()
            if v["events"] or (v.get("held") and self.by_serial(s) in force))
        if not serials:
            return
        if not values[serials[-1]]["gauge"]:
            before = 0
            for serial in serials:
                used = values[serial]["sum"]
                self.charge(lines, self.by_serial(serial), metric, span[0],
                            used, before, currency)
                before += used
            return
        pricing = [lic for lic in force if self.is_priced(lic, metric)] or [
            self.by_serial(s) for s in serials
            if self.is_priced(self.by_serial(s), metric)]
        if pricing:
            self.charge(lines, pricing[-1], metric, span[0],
                        max(values[s]["max"] for s in serials), 0, currency)


def tax_list(lic):
    return tuple((t["name"], t["rate_ppm"])
                 for t in lic.get("billing", {}).get("taxes", []))


def settle(result, taxed, credits_, currency):
    """`taxed`: pairs of an amount and its list of taxes, in order of lines."""
    total = sum((amount for amount, _ in taxed), decimal.Decimal(0))
    groups = {}
    for amount, taxes in taxed:
        groups[taxes] = groups.get(taxes, decimal.Decimal(0)) + amount
    owed = sum((decimal.Decimal(str(c["amount"])) for c in credits_),
               decimal.Decimal(0))
    credited = min(total, owed)
    running, spread = Fraction(0), decimal.Decimal(0)
    bases = {}
    for taxes, amount in groups.items():
        running += Fraction(amount)
        until = half_even(Fraction(credited) * running / Fraction(total),
                          currency) if credited else decimal.Decimal(0)
        for tax in dict.fromkeys(taxes):
            bases[tax] = bases.get(tax, decimal.Decimal(0)) + \
                amount - (until - spread)
        spread = until
    due = {tax: half_even(Fraction(base) * Fraction(tax[1], 1000000), currency)
           for tax, base in bases.items()}
    tax = sum(due.values(), decimal.Decimal(0))
    result["taxes"] = [(name, rate, money(bases[name, rate], currency),
                        money(amount, currency))
                       for (name, rate), amount in due.items()]
    result["sum"] = money(total, currency)
    result["credited"] = money(credited, currency)
    result["credit_left"] = money(owed - credited, currency)
    result["tax"] = money(tax, currency)
    result["total"] = money(total - credited + tax, currency)


KINDS = ("commit_fee", "subscription", "overage", "usage", "revenue_share")


def statement(case):
    """Of a case as bill_tool.c reads it. The serials of a license are side by
    side; all are priced in one currency."""
    first, last = read_period(case["period"])
    currency = case["licenses"][0]["entitlement"]["pricing"]["currency"]
    ids = list(dict.fromkeys(lic["license_id"] for lic in case["licenses"]))
    result = {"licenses": []}
    taxed = []
    for name in ids:
        lic = License([x for x in case["licenses"]
                       if x["license_id"] == name], case)
        lines = []
        lic.add_monthly(lines, "commit_fee", first, last, currency)
        lic.add_monthly(lines, "subscription", first, last, currency)
        lic.add_annual(lines, first, last, currency)
        lic.add_overage(lines, first, last)
        lic.add_metrics(lines, first, last, currency)
        if not lines and not any(lic.in_force(d)
                                 for d in days_of(first, last)):
            continue
        lines.sort(key=lambda line: (KINDS.index(line[0]),) + line[1:4])
        result["licenses"].append((name, [
            (kind, serial, what, count, money(amount, currency))
            for kind, _, serial, what, count, amount in lines]))
        taxed.append((lic, lines))
    flat = [(amount, tax_list(lic.by_serial(serial)))
            for lic, lines in taxed
            for _, _, serial, _, _, amount in lines]
    settle(result, flat, case.get("credits", []), currency)
    return result
