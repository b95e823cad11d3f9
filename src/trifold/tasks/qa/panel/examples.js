// Questions to start with: a click asks one.

/** @typedef {{ title: string, question: string, passages: string[] }} Example */

/** @type {readonly Example[]} */
export const EXAMPLES = [
  {
    title: "A warranty",
    question: "How long is the heating element covered?",
    passages: [
      "Warranty of the Brightwell kettle. Brightwell repairs or replaces this kettle free of charge if it fails because of a fault in material or workmanship within three years of the day of purchase. The heating element is covered for five years. The warranty does not cover limescale, breakage, or use in a business. To claim, send the kettle with its receipt to the service centre in Tamworth; Brightwell pays for the return postage within the country. A repaired kettle comes back within fifteen working days.",
    ],
  },
  {
    title: "Two timetables",
    question: "Who is in command in August?",
    passages: [
      "Notice to passengers, spring timetable. From 1 March the ferry to Hollin Island leaves from the north pier at 7:40 in the morning. The fare for an adult is 6 euros, and bicycles travel free. Captain Ines Moura will be in command until the end of May. Dogs must be kept on a lead.",
      "Notice to passengers, summer timetable. From 1 June the ferry to Hollin Island leaves from the west quay at 6:15 in the morning. The fare for an adult is 8 euros, and a bicycle costs 2 euros. Captain Pavel Horak will be in command until the end of August. The north pier is closed for repairs.",
    ],
  },
  {
    title: "A café with emoji",
    question: "Who opened the café?",
    passages: [
      "Café Zoë ☕️ — Straße der Möwen 7, Göteborg\n\nBonjour, hej och välkommen! 👋🏽 Our little café was opened in 2016 by the sisters Zoë and Åsa Lindström, who learnt baking 👩🏽‍🍳👩🏼‍🍳 from their grandmother Renée in Besançon. The crème brûlée 🍮 costs 65 kronor and the smörgås with räksallad 🦐 costs 89 kronor. Every Friday evening the pianist Noël Ångström 🎹 plays from seven until ten. Families are welcome 👨‍👩‍👧‍👦, and so are dogs 🐕. We are closed on Mondays 😴.",
    ],
  },
  {
    title: "Not in the text",
    question: "Who is the mayor of Paris?",
    passages: ["The report was written by Ada Lovelace in 1843. It describes how the machine would work out numbers, and who helped to build it."],
  },
];
