#include "shared/record/record.h"

#include <stdio.h>
#include <string.h>

/*
 * ISO 4217 list one: the codes in use in 2026 that have a minor unit, fund
 * codes included. Metals, drawing rights and test codes have none and stand
 * not here. What went out of use (BGN, ANG, HRK) was taken out. Four bytes a
 * code.
 */
static const char *const codes_by_decimals[] = {
	[0] = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF "
	      "XOF XPF ",
	[1] = "",
	[2] = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB "
	      "BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU "
	      "CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL "
	      "GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES "
	      "KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK "
	      "MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR "
	      "NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG "
	      "SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP "
	      "TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER "
	      "ZAR ZMW ZWG ",
	[3] = "BHD IQD JOD KWD LYD OMR TND ",
	[4] = "CLF UYW ",
};

int
currency_decimals(const char *code)
{
	if (strnlen(code, 4) != 3)
		return -1;
	for (int n = 0; n < 5; n++)
		for (const char *p = codes_by_decimals[n]; *p != '\0'; p += 4)
			if (memcmp(p, code, 3) == 0)
				return n;
	return -1;
}

void
money_format(char out[32], int64_t minor, const char *currency)
{
	int decimals = currency_decimals(currency);
	uint64_t amount = minor < 0 ? -(uint64_t)minor : (uint64_t)minor;
	const char *sign = minor < 0 ? "-" : "";
	uint64_t unit = 1;

	if (decimals < 0) {
		/* Where the point belongs nobody knows: say so. */
		snprintf(out, 32, "%s%ju minor", sign, (uintmax_t)amount);
		return;
	}
	for (int i = 0; i < decimals; i++)
		unit *= 10;
	if (decimals == 0)
		snprintf(out, 32, "%s%ju", sign, (uintmax_t)amount);
	else
		snprintf(out, 32, "%s%ju.%0*ju", sign,
		    (uintmax_t)(amount / unit), decimals,
		    (uintmax_t)(amount % unit));
}
