"""What is printed into the fields of the demo's pages: names, cities, things.

There are many, because heads that see few names in training learn those names by heart. Each pool
is in runs of the alphabet, so that any stretch of it has all initials.
"""

FIRST_NAMES = """Alice Bruno Clara Dmitri Elena Felix Greta Hassan Irene Jonas Keiko Lorenzo
Marta Nadia Oscar Paula Quentin Rosa Stefan Tamara Ulrich Vera Walter Ximena Yusuf Zoe Arthur
Bianca Cedric Diana Edgar Fatima Gustav Helga Ivan Jasmin Klaus Leila Magnus Nora Otto Priya
Ramon Sofia Tobias Ursula Viktor Wanda Xaver Yvonne Zdenek Agnes Boris Carmen Daniel Esther
Franco Gloria Hector Ingrid Jakob Karla Ludwig Miriam Nikolai Olga Pedro Ruth Samuel Teresa
Aaron Beatrix Caspar Dolores Emil Flora Gerald Hannah Isaac Judith Konrad Lydia Marcus Naomi
Oliver Petra Quincy Rachel Simon Thelma Umberto Valerie Wilhelm Xenia Yannick Zelda Adrian
Brenda Conrad Denise Ernest Fiona Gilbert Harriet Igor Joanna Kevin Louisa Martin Nancy Orlando
Phoebe Roland Sabine Thomas Ulla Vincent Winona Albert Barbara Claude Deborah Eugene Frieda
George Heidi Ignaz Josef Kirsten Leonard Monica Nestor Ophelia Patrick Renate Sergio Tatiana
Urban Veronica Wesley Anton Bettina Carlos Dorothy Erwin Florence Gordon Hilda Isabel Jerome
Kathrin Lambert Mabel Norbert Odette Philip Rosalind Sidney Tina Ursel Vivian Werner Amelia
Benedict Cornelia Dominic Edith Fabian Gwen Harold Iris Julian Kim Leopold Maxim Nicola Osvald
Pamela Rupert Sylvia Theodor Una Vladimir Wendy Alma Bernard Celia Douglas Elvira Ferdinand
Gisela Hubert Ilse Joachim Kurt Lorna Manfred Nina Oskar Pauline Reinhard Stella Tristan Ute
Volker Winifred Angus Berta Clemens Dagmar Elias Frances Gregor Hortense Ismail Janet Kaspar
Livia Milan Nigel Oriana Pablo Rita Sven Trudy""".split()
LAST_NAMES = """Abbott Becker Castillo Dupont Eriksen Fischer Garcia Hoffman Ibrahim Jansen
Kowalski Larsen Moreau Nakamura Olsen Petrov Quinn Rossi Schmidt Tanaka Ulmer Vasquez Weber
Xavier Yamada Zimmer Aldridge Baptiste Carver Delgado Engel Fontaine Gruber Haas Iversen Jimenez
Kessler Lindgren Marchetti Novak Ortega Pereira Quist Rasmus Silva Thorne Underhill Vogel
Winkler Yilmaz Zanetti Archer Bauer Corrigan Dvorak Ebert Falk Galloway Hartley Ingram Joyce
Kramer Lombard Mercer Nolan Osborne Pryce Rinaldi Stein Tully Ackerman Bellamy Crawford Donovan
Ellison Farrell Goodwin Hubbard Irving Jorgensen Keller Lambert Maddox Nesbitt Oakley Pacheco
Quigley Ridley Sawyer Tremblay Unger Vickers Whitaker Yates Zeller Ashby Barlow Chapman Dalton
Emerson Fowler Grimaldi Hudson Isaksen Jarvis Kimura Lowell Morton Newell Oldfield Parrish
Ramirez Sheridan Talbot Usher Valdez Wagner Young Ziegler Arnold Bishop Clayton Dixon Estrada
Franklin Griffith Harmon Ishida Jensen Kaplan Leclerc Mueller Norris Ochoa Preston Raymond
Stanton Turner Vance Walsh Zapata Albrecht Bernardi Costello Drummond Edwards Ferrari Gilmore
Herrera Irwin Jacobs Knight Lorenz Maxwell Neumann Owens Perkins Roth Schubert Thibault Uribe
Varga Wallace Ybarra Amato Bennett Cordero Duncan Everett Forster Gallagher Holt Imhoff Juarez
Kirby Lindsay Morales Nichols Orsini Potter Reyes Santoro Travers Upton Vidal Warner Zorn
Ahlgren Brandt Cooper Dietrich Elliott Fuchs Gibson Huber Islam Jordan Krause Lopez Merkel Nadal
Olivier Palmer Ritter Sorensen Tucker Ude Vermeer Wolff Zhukov Andrews Blum Caruso Devlin
Eastman Fisher Gupta Hansen Isler Johns Kapoor Lutz Mancini Norton Oberlin Pavlov Rivera Steiner
Toledo Urquhart Voss Wirth""".split()
CITIES = """Lisbon Hamburg Krakow Seville Bergen Toulouse Verona Dresden Malmo Porto Genoa
Leipzig Ghent Tampere Zagreb Valencia Bristol Antwerp Bologna Cordoba Dublin Essen Florence
Granada Helsinki Innsbruck Jena Kiel Ljubljana Madrid Naples Oslo Prague Rotterdam Salzburg
Turin Utrecht Vienna Warsaw York Zurich Aarhus Bilbao Cologne Debrecen Exeter Freiburg Geneva
Heidelberg Izmir Kaunas Lyon Munich Nantes Odense Palermo Riga Split Trieste Uppsala Vilnius
Wroclaw Basel Cardiff Delft Graz Athens Berlin Caen Dortmund Edinburgh Faro Gdansk Hannover
Istanbul Jaen Kassel Lille Marseille Nice Orleans Pisa Quimper Rennes Stuttgart Tallinn Ulm
Venice Wiesbaden Zaragoza Aachen Bremen Coimbra Dijon Erfurt Frankfurt Glasgow Haarlem Inverness
Karlsruhe Leiden Mainz Nuremberg Oviedo Plovdiv Reims Siena Tartu Umea Vigo Worms Zwolle Amiens
Bordeaux Cambridge Durham Eindhoven Ferrara Groningen Halle Kosice Limerick Mannheim Norwich
Oxford Padua Rimini Sofia Tours Varna Windsor Aberdeen Belfast Cadiz Derby Evora Fulda Galway
Hull Koblenz Leeds Modena Newcastle Osnabruck Perugia Ravenna Santander Timisoara Valletta
Weimar Alicante Brno Cork Dundee Girona Horsens Ipswich Kalmar Lucerne Metz Nancy Olomouc Parma
Rouen Szeged Turku Vejle Wurzburg Almeria Bath Chester Drammen Esbjerg Gorizia Huelva Ioannina
Klagenfurt Leuven Murcia Nitra Ostrava Potsdam Randers Stavanger Tromso Vaasa Zadar""".split()
ITEMS = """lantern kettle ladder carpet mirror bicycle hammer cushion teapot drawer basket
blanket candle compass curtain desk easel faucet gloves hinge inkwell jacket keyboard lamp
mattress napkin oven pillow quilt rake saddle toaster umbrella vase wallet axe bench chisel
dresser engine flute goblet hose iron jug kayak lock mallet nozzle oar pulley radiator scissors
tripod urn valve wagon anvil barrel crate dynamo funnel gasket helmet joystick knapsack loom
magnet apron broom clock doormat envelope fan grill hook icebox jar kennel lever mop needle
organ pitcher quill ribbon shovel table vacuum wrench accordion bucket chandelier drill
faceplate guitar hatchet inhaler jersey kite locker motor notebook overalls padlock rope shutter
trumpet violin whistle armchair bookcase camera drum eraser ferry garland harness ingot kerosene
lens mixer necklace ottoman pump racket sofa telescope varnish windmill awning boiler cabinet
dagger earring flask girdle hourglass lighter mortar nutcracker ointment pedal rudder sponge
thermostat vest weathervane bracelet bellows canoe dishwasher freezer gramophone hammock kiln
lampshade microscope oilcan parasol rifle stapler trowel wheelbarrow bathtub bell cradle dustpan
fiddle grater heater ladle muffler paddle raincoat sandal tarpaulin buckle cello crowbar
firewood gearbox harp pendulum piano plough sickle spindle tambourine thimble tweezers washer
zipper banjo beaker bolt brush cable castor chimney cleaver cot crutch cymbal filter fork fuse
gong griddle""".split()
