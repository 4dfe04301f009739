#include "shared/record/record.h"

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
	uint64_t left = minor < 0 ? -(uint64_t)minor : (uint64_t)minor;
	char text[32];
	char *p = text + sizeof(text);

	*--p = '\0';
	if (decimals < 0) {
		/* Where the point belongs nobody knows: say so. */
		static const char unit[] = " minor";

		p = text + sizeof(text) - sizeof(unit);
		memcpy(p, unit, sizeof(unit));
		decimals = 0;
	}
	/* At least one digit before the point: 20 digits, sign and point fit.
	 */
	for (int digits = 0; left != 0 || digits <= decimals; digits++) {
		if (digits == decimals && decimals > 0)
			*--p = '.';
		*--p = (char)('0' + left % 10);
		left /= 10;
	}
	if (minor < 0)
		*--p = '-';
	memcpy(out, p, (size_t)(text + sizeof(text) - p));
}
