use super::super::tests::found;

/// A published example of each, as it is mostly written.
const EXAMPLES: [(&str, &str); 46] = [
    ("PESEL", "44051401359"),
    ("Steuer-ID", "36 574 261 809"),
    ("NIR", "2 55 08 14 168 025 38"),
    ("numéro de sécurité sociale", "255081416802538"),
    ("BSN", "111222333"),
    ("rijksregisternummer", "85.07.30-033.28"),
    ("personnummer", "811228-9874"),
    ("personnummer", "198112289874"),
    ("fødselsnummer", "151086 95088"),
    ("CPR-nr.", "211062-5629"),
    ("AHV", "756.9217.0769.85"),
    ("NIF", "501964843"),
    ("SVNR", "1237 010180"),
    ("rodné číslo", "710319/2745"),
    ("CNP", "1630615123457"),
    ("ЕГН", "7523169263"),
    ("AMKA", "01013099997"),
    ("ΑΦΜ", "023456780"),
    ("isikukood", "36805280109"),
    ("OIB", "33392005961"),
    ("T.C. kimlik", "17291716060"),
    ("NHS number", "943 476 5870"),
    ("UTR", "1955839661"),
    ("ИНН", "500100732259"),
    ("CPF", "390.533.447-05"),
    ("CNPJ", "16.727.230/0001-97"),
    ("SIN", "123-456-782"),
    ("CUIT", "20-05536168-2"),
    ("Aadhaar", "2341 2341 2346"),
    ("マイナンバー", "123456789018"),
    ("주민등록번호", "971013-9019902"),
    ("身份证", "360426199101010071"),
    ("TFN", "123 456 782"),
    ("Medicare", "2123 45670 1"),
    ("IRD", "136410132"),
    ("SA ID", "7503305044089"),
    ("MyKad", "770305-02-1234"),
    ("National Insurance", "AB 12 34 56 C"),
    ("DNI", "54362315K"),
    ("NIE", "X2482300W"),
    ("codice fiscale", "RCCMNL83S18D969H"),
    ("CURP", "BOXW310820HNERXN09"),
    ("PAN", "ACUPA7085R"),
    ("henkilötunnus", "131052-308T"),
    ("NRIC", "S1234567D"),
    ("RUT", "12.531.909-2"),
];

#[test]
fn named_numbers_of_people_are_found() {
    for (name, number) in EXAMPLES {
        let found = found(&format!("{name}: {number}."));
        let sure = found.iter().find(|one| one.1 == number && one.2 > 0.85);
        assert!(sure.is_some(), "{name} {number}: {found:?}");
    }
}

#[test]
fn forms_with_strong_check_digits_need_no_name() {
    for number in [
        "2 55 08 14 168 025 38",
        "85.07.30-033.28",
        "756.9217.0769.85",
        "390.533.447-05",
        "16.727.230/0001-97",
        "360426199101010071",
        "RCCMNL83S18D969H",
        "BOXW310820HNERXN09",
        "131052-308T",
        "54362315K",
        "S1234567D",
        "A123456(3)",
    ] {
        let found = found(&format!("it says {number} here"));
        let sure = found.iter().find(|one| one.1 == number && one.2 > 0.7);
        assert!(sure.is_some(), "{number}: {found:?}");
    }
}

#[test]
fn wrong_check_digits_are_noticed() {
    for number in [
        "390.533.447-06",
        "85.07.30-033.29",
        "756.9217.0769.86",
        "360426199101010072",
        "RCCMNL83S18D969I",
        "54362315L",
        "S1234567E",
    ] {
        let found = found(&format!("it says {number} here"));
        let sure = found
            .iter()
            .find(|one| one.0 == "national_id" && one.2 >= 0.5);
        assert!(sure.is_none(), "{number}: {found:?}");
    }
}
