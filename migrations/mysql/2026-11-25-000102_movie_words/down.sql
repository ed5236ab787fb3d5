DROP TABLE IF EXISTS movie_words;
